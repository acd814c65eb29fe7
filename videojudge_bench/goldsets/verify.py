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
    """Return lines with the content of a gold set, compared with its release.

    Raises as `goldsets.load` and `verify_set`.
    """
    return verify_set(goldsets.load(name))


def verify_all() -> tuple[list[str], bool]:
    """Return the lines of all sets, and whether one is broken; missing data are no fault."""
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
    """Return a line per count and hash of a set, compared with the expected ones if known.

    Raises DataError with all figures that differ from the expected ones.
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
    """Return the figures of this package's sets, samples and full ones, by name."""
    content = TypeAdapter(dict[str, dict[str, dict[str, Union[int, str]]]])
    return read_json(packaged("tasks.data") / "expected.json", content)


def _expected(gold_set: GoldSet) -> Facts:
    """Return the known figures of a set in the form that is here; none of a user's own."""
    info = gold_set.info
    known = _known()["full" if info.has_dev else "samples"]
    if info.name in known or not info.has_dev:
        return known.get(info.name, {})
    if info.name in goldsets.released_names() and (units := goldsets.released_set(info.name).units):
        return {"units": units}
    return {}


def ids(name: str) -> Iterator[str]:
    """Yield CSV lines, a header first: item id, video id and the public keys of every example.

    They join a table of one's own scores to our items: `candidate` is VATEX-EVAL's candidate index,
    `qid` and `option` are NExT-QA's question and option index, from 0. Where labels do not tell the
    rows of a video apart, there is the answering system too, and if need be instruction and
    response. Raises as `goldsets.load`.
    """
    examples = goldsets.load(name).examples
    keys = sorted({key for example in examples for key in example.labels})
    rows = [{key: example.labels.get(key, "") for key in keys} for example in examples]
    for add in (_system, _texts):
        known = {(e.item.video_id, *row.values()) for e, row in zip(examples, rows, strict=True)}
        if len(known) < len(examples):
            rows = [{**row, **add(e)} for e, row in zip(examples, rows, strict=True)]
    cells = [
        (example.item.id, example.item.video_id, *row.values())
        for example, row in zip(examples, rows, strict=True)
    ]
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
    """Put a release into the user's data folder, and return lines about the prepared set.

    Raises:
        ConfigError: a file or folder does not exist.
        DataError: with file, line and field: the release is invalid.
    """
    if not release.is_file():
        raise ConfigError(f"no file {str(release)!r}: {goldsets.info(name).how_to_get}")
    if subtitles is not None and not subtitles.is_dir():
        raise ConfigError(f"the folder of subtitles {str(subtitles)!r} does not exist")
    released = goldsets.released_set(name)
    gold_set = released.prepare(release, videos, subtitles)
    goldsets.load.cache_clear()
    info, here = gold_set.info, view_of(gold_set, 0, None).videos
    is_rated = info.shape == "ratings"
    n = len(gold_set.examples) if is_rated else len({e.unit for e in gold_set.examples})
    units = {"ratings": "rated responses", "options": "questions", "pairs": "pairs"}[info.shape]
    videos_here = f"{_count_videos(gold_set)} videos, files of {len(here)} of them found"
    lines = [f"{info.task}: {n} {units} of {videos_here}"]
    if info.data != "full":
        lines.append(f"the release has {released.units}: rows of runs on it are marked {info.data}")
    return lines


def _list_row(name: str) -> dict[str, str]:
    columns = ("name", "data here", "kind", "shape", "examples", "videos", "task")
    row = dict.fromkeys((*columns, "licence", "how to get"), "-")
    row |= {"name": name, "task": f"videojudge_{name}"}
    try:
        info = goldsets.info(name)
        gold_set = goldsets.load(name)
    except NoDataError:
        row["data here"] = "no"
    except (ConfigError, DataError):
        return {**row, "data here": f"broken: see videojudge data verify {name}"}
    else:
        info = gold_set.info
        row |= {"data here": info.data, "examples": str(len(gold_set.examples))}
        row["videos"] = str(_count_videos(gold_set))
    row |= {"kind": info.kind, "shape": info.shape, "licence": info.licence}
    return {**row, "how to get": info.how_to_get}


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
