"""What the verbs of `videojudge data` do: each function returns what is to be printed."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, DataError, NoDataError
from videojudge_bench.goldsets import border, emscore_pickles, nextqa, vatex
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.hashing import content_hash
from videojudge_bench.items import RatingGold

Facts = Mapping[str, int | str]

_EXPECTED: Mapping[str, Facts] = {
    "vatex": {
        "videos": 3_000,
        "units": 3_000,
        "examples": 18_000,
        "ratings": 54_000,
        "ratings of 1": 1_766,
        "ratings of 2": 4_362,
        "ratings of 3": 5_723,
        "ratings of 4": 20_279,
        "ratings of 5": 21_870,
        "content hash": "2b18f4ef0acb18b0c74a70e0383a49dafc3fe7d4c5fdc6613717cc75c82d34d4",
        "labels hash": "4d0282e87428e934b06f6e80f1f129518f2b5ca4141b0cb5d28ace891591d9c8",
    },
    "nextqa": {
        "videos": 295,
        "units": 2_604,
        "examples": 13_020,
        "seed videos": 275,
        "seed questions": 2_392,
        "videos in the file": 570,
        "questions in the file": 4_996,
        "content hash": "633572e5897075720f7b65f6e9329e68ed3bdda7d905395de704eb2c50b64f53",
        "labels hash": "792abbd032772fc21e42159ae93a7c472cb24e14ffdf8e731c3d741519bd2425",
    },
}


def list_sets() -> list[dict[str, str]]:
    """Return one table row per gold set, by name; every row has the same keys, in their order.

    Counts are of what is on this machine: `-` where the data are missing or broken, which the
    column `data here` says (`yes`, `no`, `broken: see videojudge data verify <name>`).
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


def verify_set(gold_set: GoldSet) -> list[str]:
    """Return one line per count and per hash of the content, compared with what is expected.

    A set whose figures are not known beforehand is counted and compared with nothing.

    Raises:
        DataError: when a figure differs from what is expected; all of them are named.
    """
    name = gold_set.info.name
    facts, expected = _facts(gold_set), _EXPECTED.get(name)
    if expected is None:
        return [f"{name}: {key} {value}" for key, value in facts.items()]
    wrong = [
        f"{key} {facts.get(key)}, expected {value}"
        for key, value in expected.items()
        if facts.get(key) != value
    ]
    if wrong:
        raise DataError(
            f"not the released data: {'; '.join(wrong)}. Reinstall videojudge-bench",
            path=gold_set.info.task,
        )
    return [f"{name}: {key} {value}, as expected" for key, value in expected.items()]


def ids(name: str) -> Iterator[str]:
    """Yield CSV lines, a header first: item id, video id and the public keys of every example.

    With these a table of scores of one's own is joined to our items: `candidate` is VATEX-EVAL's
    candidate index, `qid` and `option` are NExT-QA's question and option index. Both count from 0.

    Raises:
        UnknownNameError: when there is no such set.
        NoDataError: when its data are not on this machine.
        DataError: when they are not what they should be.
    """
    examples = goldsets.load(name).examples
    keys = list(examples[0].labels)
    yield _csv_line(["id", "video_id", *keys])
    for example in examples:
        values = [example.labels[key] for key in keys]
        yield _csv_line([example.item.id, example.item.video_id, *values])


def prepare_vatex(emscore_dir: Path, output: Path, *, force: bool = False) -> list[str]:
    """Write EMScore's own pickles as our data file, and return lines that compare the two.

    Args:
        emscore_dir: the folder with `candidates_list.pkl`, `gts_list.pkl`, `human_scores.pkl` and
            `video_ids.pkl`. No code in them is run.
        output: the file to write, `<name>.jsonl.gz`.
        force: replace a file that is there.

    Raises:
        ConfigError: when the output is there, is not named `.gz` or its folder does not exist.
        DataError: when a pickle is missing, refused or not what it should be.
    """
    _check_output(output, force=force)
    border.write_lines(output, emscore_pickles.json_lines(emscore_dir))
    prepared = {row.video_id: row for row in vatex.rows(output)}
    packaged = {row.video_id: row for row in vatex.rows()}
    candidates = len(prepared) * vatex.CANDIDATES
    written = f"wrote {output}: {len(prepared)} videos, {candidates} candidates"
    if prepared == packaged:
        return [written, "the content is the same as in the package"]
    return [written, "the content differs from the package:", *_differences(prepared, packaged)]


def _list_row(name: str) -> dict[str, str]:
    info = goldsets.info(name)
    examples = videos = "-"
    try:
        gold_set = goldsets.load(name)
    except NoDataError:
        here = "no"
    except DataError:
        here = f"broken: see videojudge data verify {name}"
    else:
        here = "yes"
        examples, videos = str(len(gold_set.examples)), str(_count_videos(gold_set))
    return {
        "name": name,
        "task": info.task,
        "kind": info.kind,
        "shape": info.shape,
        "examples": examples,
        "videos": videos,
        "data here": here,
        "licence": info.licence,
        "how to get": info.how_to_get,
    }


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


def _csv_line(values: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()


def _check_output(output: Path, *, force: bool) -> None:
    if output.suffix != ".gz":
        raise ConfigError(f"the output {str(output)!r} is compressed; name it <name>.jsonl.gz")
    if not output.parent.is_dir():
        raise ConfigError(f"the folder {str(output.parent)!r} does not exist; make it first")
    if output.exists() and not force:
        raise ConfigError(
            f"the output {str(output)!r} exists; give --force to replace it or another --output"
        )


def _differences(
    prepared: Mapping[str, vatex.VatexRow], packaged: Mapping[str, vatex.VatexRow]
) -> list[str]:
    shared = [(row, packaged[key]) for key, row in prepared.items() if key in packaged]
    pairs = [pair for a, b in shared for pair in zip(a.candidates, b.candidates, strict=True)]
    counts = {
        "videos that the package lacks": len(prepared.keys() - packaged.keys()),
        "videos that only the package has": len(packaged.keys() - prepared.keys()),
        "videos with other references": sum(a.references != b.references for a, b in shared),
        "candidates with another text": sum(a.text != b.text for a, b in pairs),
        "candidates with other ratings": sum(a.ratings != b.ratings for a, b in pairs),
    }
    return [f"  {what}: {count}" for what, count in counts.items() if count]
