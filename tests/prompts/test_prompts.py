"""Prompt templates: three blocks, strict about names, versioned by their content."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair, Subtitle
from videojudge_bench.prompts import BLOCKS, PROMPTS_FOLDER, RenderedPrompt, load_prompt
from videojudge_bench.scale import RatingScale

SCALE = RatingScale(1, 5)
ITEM = Item("id-1", "video-1", "Describe it.", "A cat sleeps.", ("ref one", "ref two"), "dense")
PAIR = Pair("id-1", "video-1", "Describe it.", "A cat sleeps.", "A dog.", ("ref one",), "dense")
TEXT = st.text(st.characters(codec="utf-8"))


def _template(folder: Path, *, system: str = "s", shared: str = "h", response: str = "r") -> Path:
    path = folder / "own.jinja"
    parts = {"system": system, "shared": shared, "response": response}
    path.write_text("".join(f"{{% block {k} %}}{v}{{% endblock %}}\n" for k, v in parts.items()))
    return path


def test_a_template_of_your_own_is_rendered_in_three_parts(tmp_path: Path) -> None:
    path = _template(
        tmp_path,
        system="{{ low }} to {{ high }}",
        shared="{{ instruction }}{% for r in references %}|{{ r }}{% endfor %}|{{ has_video }}",
        response="[{{ response }}]",
    )
    assert load_prompt(path).render(ITEM, SCALE) == RenderedPrompt(
        "1 to 5", "Describe it.|ref one|ref two|False", "[A cat sleeps.]"
    )


def test_a_pair_shows_first_and_second(tmp_path: Path) -> None:
    path = _template(tmp_path, response="{{ first }} / {{ second }} / {{ description }}")
    rendered = load_prompt(path).render(PAIR, SCALE)
    assert rendered.response == "A cat sleeps. / A dog. / dense"


@pytest.mark.parametrize("name", ["rate", "prefer"])
def test_the_prompts_of_the_package_show_all_that_is_known(name: str) -> None:
    template = load_prompt(PROMPTS_FOLDER / f"{name}.jinja")
    subject = ITEM if name == "rate" else PAIR
    rendered = template.render(subject, SCALE)
    for text in ("Describe it.", "ref one", "dense"):
        assert text in rendered.shared
    for hidden in ("id-1", "video-1"):
        assert hidden not in "".join((rendered.system, rendered.shared, rendered.response))
    assert "A cat sleeps." in rendered.response
    assert "A cat sleeps." not in rendered.shared
    assert "about a video:" in rendered.shared
    with_video = template.render(replace(subject, video=Path("v.mp4")), SCALE)
    assert "about the video above:" in with_video.shared


@pytest.mark.parametrize("name", ["rate", "prefer"])
def test_what_is_said_in_the_video_is_shown_with_its_times(name: str) -> None:
    template = load_prompt(PROMPTS_FOLDER / f"{name}.jinja")
    subject = ITEM if name == "rate" else PAIR
    said = (Subtitle(0.0, 2.46, "Good morning."), Subtitle(3_599.96, 3_601.0, "{{ low }} <b>"))
    silent, rendered = (
        template.render(replace(subject, subtitles=subtitles), SCALE) for subtitles in ((), said)
    )
    # One line each, in the order of time, seconds with one decimal, as it was said.
    lines = (
        "What is said in the video (seconds from its start):\n"
        "\n[0.0-2.5] Good morning."
        "\n[3600.0-3601.0] {{ low }} <b>\n"
    )
    assert lines in rendered.shared
    assert "What is said" not in silent.shared
    # Nothing else changes, and the responses of a group share it.
    assert (rendered.system, rendered.response) == (silent.system, silent.response)
    before, after = rendered.shared.split(lines)
    assert "".join((before, after)).split() == silent.shared.split()


def test_a_template_of_your_own_sees_what_is_said(tmp_path: Path) -> None:
    path = _template(
        tmp_path, shared="{% for s in subtitles %}{{ s.start_seconds }}:{{ s.text }};{% endfor %}"
    )
    said = (Subtitle(1.0, 2.0, "one"), Subtitle(2.5, 3.0, "two"))
    assert load_prompt(path).render(replace(ITEM, subtitles=said), SCALE).shared == (
        "1.0:one;2.5:two;"
    )


@pytest.mark.parametrize("name", ["rate", "prefer"])
def test_the_prompts_of_the_package_say_nothing_of_what_is_missing(name: str) -> None:
    subject = replace(ITEM if name == "rate" else PAIR, references=(), description=None)
    shared = load_prompt(PROMPTS_FOLDER / f"{name}.jinja").render(subject, SCALE).shared
    assert "Known to be correct" not in shared
    assert "What the video shows" not in shared
    assert "None" not in shared


def test_the_rating_prompt_names_the_ends_of_the_scale() -> None:
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    shared = template.render(ITEM, RatingScale(0, 10)).shared
    assert "worst is 0 " in shared
    assert "best is 10 " in shared


@pytest.mark.parametrize("name", ["rate", "prefer"])
@given(responses=st.tuples(TEXT, TEXT))
def test_all_responses_of_a_group_share_the_first_two_blocks(
    name: str, responses: tuple[str, str]
) -> None:
    template = load_prompt(PROMPTS_FOLDER / f"{name}.jinja")
    one: Item | Pair = replace(ITEM, response=responses[0])
    other: Item | Pair = replace(ITEM, id="id-2", response=responses[1])
    if name == "prefer":
        one = replace(PAIR, first=responses[0], second=responses[1])
        other = replace(PAIR, id="id-2", first=responses[1], second=responses[0])
    here, there = template.render(one, SCALE), template.render(other, SCALE)
    assert (here.system, here.shared) == (there.system, there.shared)
    assert (here.response == there.response) is (responses[0] == responses[1])


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% block system %}", "<b>&amp;</b>", "{# x #}"])
def test_what_an_item_says_is_shown_as_it_is(text: str) -> None:
    rendered = load_prompt(PROMPTS_FOLDER / "rate.jinja").render(
        replace(ITEM, response=text, instruction=text), SCALE
    )
    assert text in rendered.response
    assert text in rendered.shared


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(tmp_path: Path) -> None:
    template = load_prompt(_template(tmp_path, shared="{{ question }}"))
    with pytest.raises(ConfigError) as caught:
        template.render(ITEM, SCALE)
    assert str(caught.value) == (
        "prompt own.jinja cannot be rendered: 'question' is undefined. A prompt for items sees: "
        "instruction, references, description, subtitles, has_video, low, high, feedback, "
        "rubric, write_rubric, criteria, response"
    )


def test_a_prompt_for_items_does_not_do_for_pairs(tmp_path: Path) -> None:
    template = load_prompt(_template(tmp_path, response="{{ response }}"))
    with pytest.raises(ConfigError, match=r"A prompt for pairs sees: .*, high, .*, first, second$"):
        template.render(PAIR, SCALE)


def test_the_version_is_the_hash_of_the_source(tmp_path: Path) -> None:
    path = _template(tmp_path)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    template = load_prompt(path)
    assert (template.name, template.sha) == ("own.jinja", expected)


def test_line_ends_of_another_system_do_not_change_the_version(tmp_path: Path) -> None:
    unix, windows = _template(tmp_path), tmp_path / "windows.jinja"
    windows.write_bytes(unix.read_bytes().replace(b"\n", b"\r\n"))
    assert load_prompt(unix).sha == load_prompt(windows).sha


@pytest.mark.parametrize("missing", BLOCKS)
def test_a_missing_block_is_named(tmp_path: Path, missing: str) -> None:
    path = _template(tmp_path)
    path.write_text(path.read_text().replace(f"block {missing} ", f"block not_{missing} "))
    with pytest.raises(ConfigError) as caught:
        load_prompt(path)
    assert str(caught.value) == (
        f"prompt file {path} lacks the block(s) {missing}; a prompt has the blocks "
        "system, shared, response, see prompts/rate.jinja of videojudge_bench"
    )


def test_all_missing_blocks_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "plain.jinja"
    path.write_text("Rate {{ response }}")
    with pytest.raises(ConfigError, match=r"lacks the block\(s\) system, shared, response;"):
        load_prompt(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file or directory"),
        (b"{% block system %}", "Unexpected end of template"),
        (b"\xff\xfe", "codec can't decode"),
    ],
)
def test_a_file_that_is_no_template_is_named(
    tmp_path: Path, content: bytes | None, text: str
) -> None:
    path = tmp_path / "bad.jinja"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_prompt(path)
    assert str(caught.value).startswith(f"prompt file {path}: ")
    assert text in str(caught.value)
