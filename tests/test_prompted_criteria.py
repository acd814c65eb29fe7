"""Judges that rate by criteria: files, prompts, verdicts, and what cannot work."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fake_engine import FakeEngine, Replies, items, make_judge

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.criteria import YES_NO, Criterion
from videojudge_bench.engine import PromptGroup, Reply
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Ability
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.prompts.criteria_book import CriteriaBook
from videojudge_bench.replies.criteria import format_criteria
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

YAML = """
- {name: right, question: "Is it right?", weight: 3}
- {name: polite, question: "Is it polite?", scale: yes/no}
"""
JSON = json.dumps(
    [
        {"name": "right", "question": "Is it right?", "weight": 3.0, "scale": "1-5"},
        {"question": "Is it polite?", "name": "polite", "scale": "yes/no"},
    ]
)
REPLY = format_criteria({"right": 2, "polite": "yes"})
PAIR = Pair("p", "v0", "do", "x", "y")


class Probable(FakeEngine):
    """Gives probabilities of the choices in each slot, whole to what `reply` says."""

    capabilities = frozenset({"video", "logprobs"})

    async def same(self, group: PromptGroup) -> Replies:
        given = {s.key(c): float(c in {"4", "yes"}) for s in group.slots for c in s.choices}
        return [Reply(self.reply, given) for _ in group.continuations]


class Compares(PromptedJudge):
    """Has a prompt for pairs alone."""

    prompts: Mapping[Ability, str] = {"prefer": "prefer.jinja"}  # type: ignore[misc]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "criteria.yaml"
    path.write_text(YAML, encoding="utf-8")
    return str(path)


def judged(judge: PromptedJudge, item: Item | Pair) -> Judgement:
    (judgement,) = judge.judge([item])
    return judgement


def test_one_call_rates_by_all_criteria(file: str) -> None:
    judge, engine = make_judge(criteria=file)
    engine.reply = REPLY
    found = judged(judge, items(1)[0])
    assert found.criteria == {"right": 2.0, "polite": 1.0}
    assert found.verdict == Rating(1 + 4 * (3 * 0.25 + 1) / 4)
    ((group,), (tail,)) = engine.groups, engine.groups[0].continuations
    assert tail.id == "v0/0"
    assert "- right: Is it right? (1 is worst, 5 is best, whole numbers)" in group.prefix.text
    assert "- polite: Is it polite? (yes or no)" in group.prefix.text
    assert group.prefix.text.rstrip().endswith(
        '<score name="right">...</score>\n<score name="polite">...</score>'
    )
    assert "overall" not in group.prefix.text
    assert not group.slots
    assert not group.choices


def test_the_model_gives_the_overall_rating(file: str) -> None:
    judge, engine = make_judge(criteria=file, overall="model", feedback=False)
    engine.reply = f'{REPLY}\n<score name="overall">5</score>'
    assert judged(judge, items(1)[0]).verdict == Rating(5)
    assert '<score name="overall">...</score>' in engine.groups[0].prefix.text
    assert "<thinking>" not in engine.groups[0].prefix.text


def test_expected_scores_are_asked_for_in_every_slot(file: str) -> None:
    judge, engine = make_judge(
        engine=f"{__name__}:Probable",
        criteria=file,
        overall="model",
        score="expected",
        feedback=False,
    )
    engine.reply = "whatever"
    found = judged(judge, items(1)[0])
    assert (found.verdict, found.criteria) == (Rating(4), {"right": 4.0, "polite": 1.0})
    (group,) = engine.groups
    assert [slot.name for slot in group.slots] == ["right", "polite", "overall"]
    assert set(group.choices) == {*"12345", "yes", "no"}
    assert group.reply_start == ""  # the reply is written, as it has several places
    assert judge.reread(items(1)[0], found) is None


def test_replies_are_read_anew(file: str) -> None:
    judge, engine = make_judge(criteria=file)
    engine.reply = REPLY
    (item,) = items(1)
    found = judged(judge, item)
    assert judge.reread(item, replace(found, verdict=Rating(1), criteria={})) == found


def test_samples_are_averaged_by_criterion(file: str) -> None:
    judge, engine = make_judge(criteria=file, samples=3, temperature=0.5)
    texts = [REPLY, format_criteria({"right": 5, "polite": "no"}), '<score name="right">2</score>']

    async def three(_: PromptGroup) -> Replies:
        return [Reply(text) for text in texts]

    engine.answer = three
    found = judged(judge, items(1)[0])
    assert found.criteria == {"right": 3.0, "polite": 0.5}
    texts[1] = ""
    found = judged(judge, items(1)[0])
    assert found.criteria == {"right": 2.0, "polite": None}
    assert isinstance(found.verdict, Unparsed)
    assert Judgement.from_json(found.to_json()) == found


def test_pairs_are_rated(file: str) -> None:
    judge, engine = make_judge(criteria=file)
    texts = [REPLY, format_criteria({"right": 3, "polite": "yes"})]

    async def two(_: PromptGroup) -> Replies:
        return [Reply(text) for text in texts]

    engine.answer = two
    found = judged(judge, PAIR)
    assert found.verdict == Preference(0.0)
    assert [side.criteria["right"] for side in found.samples] == [2.0, 3.0]
    assert judge.settings()["pairs"] == "rate"


def test_the_signature_names_the_criteria_by_content(file: str, tmp_path: Path) -> None:
    def settings(name: str, text: str, **options: Scalar) -> Mapping[str, Scalar]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return make_judge(PromptedJudge, "FakeEngine", criteria=str(tmp_path / name), **options)[
            0
        ].settings()

    same = make_judge(criteria=file)[0].settings()
    assert re.fullmatch(r"sha256:[0-9a-f]{12}", str(same["criteria"]))
    assert settings("other.json", JSON) == same
    for change in (("right?", "true?"), ("weight: 3", "weight: 2"), ("polite,", "kind,")):
        assert settings("c.yaml", YAML.replace(*change))["criteria"] != same["criteria"]
    assert settings("c.yaml", YAML, overall="model") == {**same, "overall": "model"}
    assert not {"criteria", "overall"} & make_judge()[0].settings().keys()


def test_a_checklist_of_each_instruction_is_asked_with_yes_and_no(tmp_path: Path) -> None:
    path = tmp_path / "rubrics.jsonl"
    row = {"video_id": "v0", "instruction": "do", "checklist": ["Is there a cat?", "Is it red?"]}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    judge, engine = make_judge(criteria=str(path))
    engine.reply = format_criteria({"1": "yes", "2": "no"})
    known, unknown = judge.judge(items(2))
    assert (known.verdict, known.criteria) == (Rating(3), {"1": 1.0, "2": 0.0})
    assert unknown.verdict == Unparsed("engine: no checklist for its instruction in rubrics.jsonl")
    assert "- 2: Is it red? (yes or no)" in engine.groups[0].prefix.text
    by_rubric, engine = make_judge(rubric=str(path))  # the same file as a rubric
    judged(by_rubric, items(1)[0])
    assert "- Is there a cat?\n- Is it red?" in engine.groups[0].prefix.text


def test_a_prompt_of_ones_own_shows_the_criteria(file: str, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    blocks = "{% block system %}{% endblock %}{% block response %}{{ response }}{% endblock %}"
    shown = "{% for c in criteria %}{{ c.name }}={{ c.choices | join('/') }} {% endfor %}"
    own.write_text(blocks + "{% block shared %}" + shown + "{% endblock %}", encoding="utf-8")
    judge, engine = make_judge(criteria=file, prompt=str(own))
    judged(judge, items(1)[0])
    assert engine.groups[0].prefix.text == "right=1/2/3/4/5 polite=no/yes "


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a list of criteria, each with name and question, got nothing"),
        ("[]", "expected a list of criteria, each with name and question, got nothing"),
        ("name: a", "expected a list of criteria, each with name and question, got dict"),
        ("[a, b", "expected YAML or JSON: while parsing a flow sequence"),
        ("[right]", "field '[0]': Input should be a valid dictionary"),
        ("[{name: a}]", "field '[0].question': the field is missing"),
        ("[{name: a, question: ''}]", "field '[0].question': String should have at least 1"),
        ("[{name: a b, question: q}]", "expected letters, digits, _, - and ."),
        ("[{name: Overall, question: q}]", "'overall' is the name of the overall rating"),
        ("[{name: yes, question: q}]", "field '[0].name': Input should be a valid string"),
        ("[{name: a, question: q, weigth: 1}]", "field '[0].weigth': the field is unknown"),
        ("[{name: a, question: q, weight: -1}]", "greater than or equal to 0; found -1"),
        ("[{name: a, question: q, weight: .nan}]", "a finite number; found nan"),
        ("[{name: a, question: q, weight: .inf}]", "a finite number; found inf"),
        ("[{name: a, question: q, scale: 1-10}]", "Input should be '1-5' or 'yes/no'"),
        ("[{name: a, question: q, weight: 0}]", "the weights sum to 0; give a criterion a weight"),
        (
            "[{name: a, question: q}, {name: A, question: r}]",
            "field 'name': criterion 'a' is there twice; rename one",
        ),
    ],
)
def test_files_that_hold_no_criteria(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "criteria.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        make_judge(criteria=str(path))
    assert caught.value.path == path


def test_rubrics_without_checklists_are_no_criteria(tmp_path: Path) -> None:
    path = tmp_path / "rubrics.jsonl"
    row = {"video_id": "v0", "instruction": "do", "rubric": "5: a cat"}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected a `checklist` in every line"):
        CriteriaBook(path)
    path.write_text(json.dumps({**row, "rubric": ""}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected a rubric or a checklist, got neither"):
        CriteriaBook(path)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"criteria": "none.yaml"}, "criteria: expected a file (YAML, JSON), got 'none.yaml'"),
        ({"overall": "model"}, "overall=model is for criteria; give criteria=FILE"),
        ({"overall": "mean"}, "unknown overall 'mean'"),
        ({"structured": "json"}, "the criteria's form has tags; give structured=regex or none"),
        ({"rubric": "write"}, "does not use 'write_rubric', so rubric=write would change nothing"),
        ({"pair_prompt": "x.jinja"}, "x.jinja: the judge has no prompt to prefer with"),
    ],
)
def test_options_that_do_not_go_together(
    file: str, options: dict[str, Scalar], problem: str
) -> None:
    given = {"criteria": file, **options} if options.keys() != {"overall"} else options
    with pytest.raises(ConfigError, match=re.escape(problem)):
        make_judge(PromptedJudge, "FakeEngine", **given)


def test_a_judge_without_a_rating_prompt_takes_none(file: str) -> None:
    with pytest.raises(ConfigError, match="criteria=FILE needs a judge with a rating prompt"):
        make_judge(Compares, criteria=file)


def test_a_metric_takes_none(file: str) -> None:
    with pytest.raises(ConfigError, match="unknown option 'criteria'"):
        registry.build("rouge_l", {"criteria": file})


def test_the_form_of_replies_holds_every_slot() -> None:
    from videojudge_bench.prompted.forms import REGEX, form_of
    from videojudge_bench.prompts import PromptOptions

    criteria = (Criterion("right", "?"), Criterion("polite", "?", 1, YES_NO))
    form = form_of(REGEX, items(1)[0], PromptOptions(criteria=criteria), ())
    assert isinstance(form, str)
    assert re.fullmatch(form, format_criteria({"right": 2, "polite": "yes"}, thinking="Hm."))
    assert not re.fullmatch(form, format_criteria({"right": 2}, thinking="Hm."))
    assert not re.fullmatch(form, format_criteria({"right": 6, "polite": "yes"}, thinking="Hm."))
