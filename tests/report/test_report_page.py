"""The page by parsing it: whole, self-contained, and inert whatever the texts of a run hold."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from measured_runs import board_set
from pages import HOSTILE, Parsed, hostile_set, judged, with_replies
from registered import registered

from videojudge_bench import goldsets
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard import rows, tables
from videojudge_bench.leaderboard.comparing import read_tests
from videojudge_bench.leaderboard.opening import open_run, open_runs
from videojudge_bench.leaderboard.stored import read_all
from videojudge_bench.report import making, page
from videojudge_bench.report.page import Page, embedded, render
from videojudge_bench.verdicts import Rating

RESAMPLES = 50


def made(*folders: Path, worst: int = 3) -> Parsed:
    """Return the page of one run, or of two, taken apart."""
    runs = [open_run(folder) for folder in folders]
    return Parsed(render(making.runs_page(runs, worst=worst, resamples=RESAMPLES)))


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[tuple[GoldSet, Path]]:
    """A set of hostile texts, and a journal of a judge whose replies are as hostile."""
    with registered(hostile_set()) as gold_set:
        journal = with_replies(
            gold_set,
            tmp_path / "journal",
            lambda e: f"<thinking>{e.labels['kind']}</thinking>\n<score>3</score>",
        )
        yield gold_set, journal


def test_no_text_of_a_run_becomes_markup(hostile: tuple[GoldSet, Path]) -> None:
    gold_set, journal = hostile
    parsed = made(journal)
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"img", "iframe", "object", "embed", "link", "form", "base"}
    assert len(parsed.tags("script")) == 2  # the data and our own
    assert len(parsed.tags("style")) == 1
    handlers = [
        name for _, attributes in parsed.elements for name in attributes if name[:2] == "on"
    ]
    assert handlers == []
    links = {attributes.get("href") for attributes in parsed.tags("a")}
    assert links == {"#main"}
    shown = parsed.data["items"]
    assert {item[2][0] for item in shown} == {e.item.response for e in _items(gold_set)}
    replies = {item[6][2] for item in shown}
    assert all(any(text in reply for reply in replies) for text in HOSTILE)


def _items(gold_set: GoldSet) -> list[Any]:
    return list(gold_set.examples)


def test_the_policy_allows_this_style_and_script_and_nothing_else(
    hostile: tuple[GoldSet, Path],
) -> None:
    parsed = made(hostile[1])
    first, second = parsed.tags("meta")[:2]
    assert first == {"charset": "utf-8"}
    assert second["http-equiv"] == "Content-Security-Policy"
    policy = dict(part.split(" ", 1) for part in str(second["content"]).split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'{_sha(parsed.texts['script'][-1])}'",
        "style-src": f"'{_sha(parsed.texts['style'][0])}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not [attributes for _, attributes in parsed.elements if "style" in attributes]
    assert not [a for _, a in parsed.elements if "src" in a or "srcset" in a]


def _sha(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def test_what_is_embedded_cannot_end_its_element() -> None:
    text = str(embedded({"a": ["</script>", "<!--", "&amp;", "\u2028\u2029", "]]>"]}))
    assert not set("<>&\u2028\u2029") & set(text)
    assert Parsed(f'<script id="data">{text}</script>').data["a"][1] == "<!--"


def test_a_name_of_half_a_character_is_written(tmp_path: Path) -> None:
    page.write(Page(title="half \ud800", lead="x"), tmp_path / "page.html")
    assert "<h1>half ?</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_parts_of_a_run_on_the_scale(tmp_path: Path) -> None:
    with registered(board_set(25)) as gold_set:
        parsed = made(judged(gold_set, tmp_path, "random", {}))
    assert parsed.texts["h1"] == ["random on videojudge_tinyboard"]
    titles = [text.strip() for text in parsed.texts["h3"]]
    assert titles[1:] == ["Scores against gold", "Calibration", "Confusion", "Bias by length"]
    assert len(parsed.tags("svg")) == 5  # and the one of the leaderboard
    heads = ["".join(text.split("\u200b")) for text in parsed.texts["th"]]
    assert heads[:3] == ["random", "items judged", "replies read"]
    assert "75 of 75" in parsed.texts["td"]


def test_the_parts_of_a_run_off_the_scale(tmp_path: Path) -> None:
    with registered(board_set(25)) as gold_set:
        parsed = made(judged(gold_set, tmp_path, "longest", {}))
    titles = [text.strip() for text in parsed.texts["h3"]][1:]
    assert titles == ["Scores against gold", "Gold by score", "Bias by length"]


@pytest.mark.parametrize(
    ("name", "judge", "titles"),
    [
        ("longvideobench", "longest", ["Correct options by score", "Bias by length"]),
        ("pairwise", "random", ["Calibration", "Bias by position", "Bias by length"]),
    ],
)
def test_the_parts_of_options_and_pairs(
    name: str, judge: str, titles: list[str], tmp_path: Path
) -> None:
    parsed = made(judged(goldsets.load(name), tmp_path, judge, {}), worst=1)
    assert [text.strip() for text in parsed.texts["h3"]][1:] == titles
    data = parsed.data
    assert (len(data["prompts"]), len(data["videos"])) == (1, 1)
    ((pictures, times, problem),) = data["videos"].values()
    assert problem == ""
    assert len(pictures) == len(times) == 4
    assert all(picture.startswith("data:image/webp;base64,") for picture in pictures)
    assert "A sample: its gold was written by a model." in " ".join(parsed.texts["p"])


def test_two_runs_stand_beside_each_other(tmp_path: Path) -> None:
    with registered(board_set(25)) as gold_set:
        folders = [judged(gold_set, tmp_path, "random", {"seed": seed}) for seed in (0, 1)]
        parsed = made(*folders)
        runs = [open_run(folder) for folder in folders]
    data = parsed.data
    assert data["runs"] == ["random, seed=0", "random, seed=1"]
    by_id = {item[0]: item for item in data["items"]}
    for place, run in enumerate(runs):
        for item_id, judgement in run.judgements.items():
            gold = float(by_id[item_id][3])
            assert isinstance(judgement.verdict, Rating)
            assert by_id[item_id][6 + place][1] == abs(judgement.verdict.value - gold)
    worst = [max(item[6][1], item[7][1]) for item in data["items"]]
    assert worst == sorted(worst, reverse=True)
    facts = dict(zip(parsed.texts["th"], parsed.texts["th"], strict=True))
    assert {"spearman", "difference", "nearer to gold on"} <= facts.keys()


def test_a_half_finished_run_says_so(tmp_path: Path) -> None:
    with registered(board_set(25)) as gold_set:
        parsed = made(judged(gold_set, tmp_path, "random", {}, limit=30))
    assert "30 of 75: not the whole set, or not finished yet" in parsed.texts["td"]
    assert len(parsed.data["items"]) == 30


def test_a_run_of_which_nothing_could_be_read(tmp_path: Path) -> None:
    with registered(board_set(3)) as gold_set:
        parsed = made(with_replies(gold_set, tmp_path, lambda _: "I cannot say."))
    assert "0; 9 without a verdict" in parsed.texts["td"]
    assert [item[6][:2] for item in parsed.data["items"]] == [["unparsed", None]] * 9
    assert all(item[6][3] for item in parsed.data["items"])
    assert "How it judges" not in parsed.texts["h2"]


def test_many_runs_are_a_leaderboard(tmp_path: Path) -> None:
    with registered(board_set(25)) as gold_set:
        for judge in ("random", "longest"):
            judged(gold_set, tmp_path, judge, {})
        runs = open_runs(tmp_path)
        parsed = Parsed(render(making.many_page(runs)))
    assert parsed.texts["h1"] == ["Judges of video understanding"]
    assert [a for a in parsed.tags("script") if a.get("id") == "data"] == []
    lines = [a for a in parsed.tags("tr") if str(a.get("class")).startswith("baseline")]
    assert len(lines) == 2
    assert all("||judge:" in str(line["title"]) for line in lines)
    assert len(parsed.tags("svg")) == 1


def test_the_first_cards_say_what_is_best_and_what_people_reach() -> None:
    results = Path(__file__).parents[2] / "results"
    board = rows.build(
        [run for run in read_all(results / "runs") if run.gold_set == "vatex"],
        known_tests=read_tests(results / tables.TESTS),
    )
    page = making.board_page(board)
    best, second, people = page.cards
    assert best.title == "Best judge, 9 references: compact"
    assert second.title.startswith("Best judge, 1 reference: ")
    assert float(best.figure) > float(second.figure)
    assert people.figure == "0.568", "as README has it"
    titles = [block.title for block in page.standings[0].blocks]
    assert titles == ["people", "9 references", "1 reference", "no reference"]
    roles = {line.judge: line.role for block in page.standings[0].blocks for line in block.lines}
    assert (roles["random"], roles["compact"]) == ("baseline", "judge")


def test_a_card_says_what_most_verdicts_lack(tmp_path: Path) -> None:
    with registered(board_set(3)) as gold_set:
        folder = with_replies(gold_set, tmp_path, lambda _: "I cannot say.")
        page = making.runs_page([open_run(folder)], worst=1)
    assert page.cards[-1].figure == "0.0 %"
    assert page.cards[-1].text.startswith("9 of 9 have none: ")


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        ({"judge:a": 1, "judge:b": 2}, "Significantly above all others."),
        ({"judge:a": 1, "judge:random": 1}, "Not told apart from random."),
        ({"judge:a": 2, "judge:random": 1}, "Significantly below random."),
        ({"judge:a": 1}, "The only one with a rank."),
    ],
)
def test_the_best_card_says_no_more_than_ranks_do(ranks: dict[str, int], text: str) -> None:
    info = board_set(3).info
    board = rows.Board(
        tuple(
            rows.Row(
                judge=name.partition(":")[2], role="judge", info=info, part="all", references=1,
                signature=f"set:tinyboard||{name}", numbers={"spearman": 1 / rank}, rank=rank,
            )
            for name, rank in sorted(ranks.items(), key=lambda each: each[1])
        )
    )  # fmt: skip
    assert making.board_page(board).cards[0].text == text
