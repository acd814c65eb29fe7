"""Work of the verbs of `videojudge data`: each function returns what is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Union

from pydantic import TypeAdapter

from videojudge_bench import goldsets
from videojudge_bench._util.files import packaged
from videojudge_bench._util.hashing import content_hash
from videojudge_bench._util.tabular import csv_text
from videojudge_bench.errors import ConfigError, DataError, NoDataError
from videojudge_bench.goldsets import nextqa
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.jsonl import read_json
from videojudge_bench.goldsets.view import view_of
from videojudge_bench.items import Example, Pair, RatingGold

Facts = Mapping[str, int | str]


def list_sets() -> list[dict[str, str]]:
    """Return one table row per gold set, by name; every row has the same keys, in their order.

    Counts are of what is on this machine: `-` where the data are missing or broken, which the
    column `data here` says (`full`, `sample-105`, `part-8`, `no`, `broken: see videojudge data
    verify <name>`).
    """
    return [_list_row(name) for name in goldsets.names()]


def verify(name: str) -> list[str]:
    """Return lines that say what a gold set holds and that it is what its authors released.

    Raises:
        UnknownNameError: when there is no such set.
        NoDataError: when its data are not on this machine.
        DataError: when they are damaged, or differ from the release; all differences are named.
    """
    return verify_set(goldsets.load(name))


def verify_all() -> tuple[list[str], bool]:
    """Return the lines of all sets, and whether one of them is broken.

    A set without data is no fault: its line says how to get them.
    """
    lines: list[str] = []
    broken = False
    for name in goldsets.names():
        try:
            lines += verify(name)
        except NoDataError as error:
            lines.append(f"{name}: no data here: {error.how_to_get}")
        except (DataError, ConfigError) as error:
            broken = True
            lines.append(f"{name}: BROKEN: {error}")
    return lines, broken


def verify_set(gold_set: GoldSet) -> list[str]:
    """Return one line per count and per hash of the content, compared with what is expected.

    A set whose figures are not known beforehand is counted and compared with nothing.

    Raises:
        DataError: when a figure differs from what is expected; all of them are named.
    """
    name = gold_set.info.name
    facts, expected = _facts(gold_set), _expected(gold_set)
    if not expected:
        return [f"{name}: {key} {value}" for key, value in facts.items()]
    wrong = [
        f"{key} {facts.get(key)}, expected {value}"
        for key, value in expected.items()
        if facts.get(key) != value
    ]
    if wrong:
        fix = "get the release again, and prepare it anew"
        if gold_set.info.name in _known()["full"] or not gold_set.info.has_dev:
            fix = "reinstall videojudge-bench"
        raise DataError(
            f"not the released data: {'; '.join(wrong)}; {fix}", path=gold_set.info.task
        )
    return [
        f"{name}: {key} {value}{', as expected' if key in expected else ''}"
        for key, value in facts.items()
    ]


@cache
def _known() -> dict[str, dict[str, dict[str, int | str]]]:
    """The content of this package's sets, samples and full ones, by name."""
    content = TypeAdapter(dict[str, dict[str, dict[str, Union[int, str]]]])
    return read_json(packaged("tasks.data") / "expected.json", content)


def _expected(gold_set: GoldSet) -> Facts:
    """Return what is known of a set in the form that is here; nothing of a user's own."""
    info = gold_set.info
    known = _known()["full" if info.has_dev else "samples"]
    if info.name in known or not info.has_dev:
        return known.get(info.name, {})
    if info.name in goldsets.released_names() and (units := goldsets.released_set(info.name).units):
        return {"units": units}
    return {}


def ids(name: str) -> Iterator[str]:
    """Yield CSV lines, a header first: item id, video id and the public keys of every example.

    With these a table of scores of one's own is joined to our items: `candidate` is VATEX-EVAL's
    candidate index, `qid` and `option` are NExT-QA's question and option index. Both count from 0.
    Where labels do not tell the rows of a video apart, the answering system stands there too, and
    where that does not, instruction and response.

    Raises:
        UnknownNameError: when there is no such set.
        NoDataError: when its data are not on this machine.
        DataError: when they are not what they should be.
    """
    examples = goldsets.load(name).examples
    keys = sorted({key for example in examples for key in example.labels})
    rows = [{key: example.labels.get(key, "") for key in keys} for example in examples]
    for add in (_system, _texts):
        known = {(e.item.video_id, *row.values()) for e, row in zip(examples, rows, strict=True)}
        if len(known) < len(examples):
            rows = [{**row, **add(e)} for e, row in zip(examples, rows, strict=True)]
    ids = [(example.item.id, example.item.video_id) for example in examples]
    cells = [(*names, *row.values()) for names, row in zip(ids, rows, strict=True)]
    yield from csv_text(["id", "video_id", *rows[0]], cells).removesuffix("\n").split("\n")


def _system(example: Example) -> dict[str, str]:
    return {} if example.system is None else {"system": example.system}


def _texts(example: Example) -> dict[str, str]:
    item = example.item
    if isinstance(item, Pair):
        return {"instruction": item.instruction, "first": item.first, "second": item.second}
    return {"instruction": item.instruction, "response": item.response}


def prepare_released(
    name: str, release: Path, videos: Path | None, subtitles: Path | None
) -> list[str]:
    """Put a release into the user's data folder, and return lines that say what is there now.

    Raises:
        ConfigError: when a file or folder does not exist.
        DataError: with file, line and field, when the release is not what it should be.
    """
    if not release.is_file():
        raise ConfigError(f"no file {str(release)!r}: {goldsets.info(name).how_to_get}")
    if subtitles is not None and not subtitles.is_dir():
        raise ConfigError(f"the folder of subtitles {str(subtitles)!r} does not exist")
    gold_set = goldsets.released_set(name).prepare(release, videos, subtitles)
    goldsets.load.cache_clear()
    here = view_of(gold_set, 0, None).videos
    units = {"ratings": "rated responses", "options": "questions", "pairs": "pairs"}
    what = (
        f"{_count_units(gold_set)} {units[gold_set.info.shape]} of {_count_videos(gold_set)} videos"
    )
    lines = [f"{gold_set.info.task}: {what}, files of {len(here)} of them found"]
    if gold_set.info.data != "full":
        whole = goldsets.released_set(name).units
        lines.append(f"the release has {whole}: rows of runs on it are marked {gold_set.info.data}")
    return lines


def _list_row(name: str) -> dict[str, str]:
    examples = videos = "-"
    try:
        info = goldsets.info(name)
        gold_set = goldsets.load(name)
    except NoDataError:
        here = "no"
    except (ConfigError, DataError):
        return _broken_row(name)
    else:
        info, here = gold_set.info, gold_set.info.data
        examples, videos = str(len(gold_set.examples)), str(_count_videos(gold_set))
    return {
        "name": name,
        "data here": here,
        "kind": info.kind,
        "shape": info.shape,
        "examples": examples,
        "videos": videos,
        "task": info.task,
        "licence": info.licence,
        "how to get": info.how_to_get,
    }


def _broken_row(name: str) -> dict[str, str]:
    return {
        "name": name,
        "data here": f"broken: see videojudge data verify {name}",
        **dict.fromkeys(("kind", "shape", "examples", "videos"), "-"),
        "task": f"videojudge_{name}",
        **dict.fromkeys(("licence", "how to get"), "-"),
    }


def _count_units(gold_set: GoldSet) -> int:
    if gold_set.info.shape == "ratings":
        return len(gold_set.examples)
    return len({example.unit for example in gold_set.examples})


def _count_videos(gold_set: GoldSet) -> int:
    return len({example.item.video_id for example in gold_set.examples})


def _facts(gold_set: GoldSet) -> dict[str, int | str]:
    examples = gold_set.examples
    facts: dict[str, int | str] = {
        "videos": _count_videos(gold_set),
        "units": len({example.unit for example in examples}),
        "examples": len(examples),
    }
    golds = [e.gold for e in examples if isinstance(e.gold, RatingGold)]
    ratings = Counter(rating for gold in golds for rating in gold.ratings)
    if ratings:
        facts["ratings"] = ratings.total()
        facts |= {f"ratings of {value:g}": ratings[value] for value in sorted(ratings)}
    if gold_set.info.name == nextqa.INFO.name:
        seeds = nextqa.seed_rows()
        seed_videos = len({row.video_id for row in seeds})
        facts |= {
            "seed videos": seed_videos,
            "seed questions": len(seeds),
            "videos in the file": _count_videos(gold_set) + seed_videos,
            "questions in the file": len({e.unit for e in examples}) + len(seeds),
        }
    facts["content hash"] = gold_set.content_hash
    # The content hash leaves the labels out, and statistics filter by them.
    facts["labels hash"] = content_hash(sorted([e.item.id, *e.labels.values()] for e in examples))
    return facts
