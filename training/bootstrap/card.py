"""The data set's card: how it was made, sources and licences, and overlap with gold sets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.markdown import inert, table
from videojudge_bench.training.bootstrap.rows import RowOptions

CARD_FILE = "README.md"
_FACTS_FILE, _COUNTS_FILE = "bootstrap.json", "seeds.json"
_WHAT = (
    "Responses to instructions about videos that were made to deserve a rating from 1 to 5, by "
    "`videojudge bootstrap`. They train judges of video understanding. The ratings are those of "
    "the pipeline; no human gave them. [report.md](report.md) tells how well it worked."
)
_PARTS = (
    "Train and validation share no video. `chat_*.jsonl` holds `messages` and `videos`, as "
    "`datasets`, ms-swift and LLaMA-Factory (`dataset_info.json`) read them; "
)
_RELATIVE = (
    "paths are those of the seeds, relative to the folder of their videos: say which it is by "
    "`ROOT_IMAGE_DIR=VIDEOS` in the environment of ms-swift, and by `media_dir: VIDEOS` in the "
    "options of LLaMA-Factory, or export absolute paths (`--override export.videos=VIDEOS`)."
)
_ABSOLUTE = "paths of videos are absolute, as on the machine that wrote them."
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_card(folder: Path, rows: Mapping[str, int], options: RowOptions) -> Path:
    """Write `README.md` into a bootstrap folder, in the form of the Hugging Face hub."""
    facts = _object(folder / _FACTS_FILE)
    counts = _object(folder / _COUNTS_FILE)
    overlaps = sorted(name for name, seeds in counts.get("overlap", {}).items() if seeds)
    lines = [
        "---",
        yaml.safe_dump(_front(counts, rows, overlaps), sort_keys=False).rstrip(),
        "---",
        "",
        f"# {inert(folder.name)}",
        "",
        _WHAT,
        "",
        *_rows(rows, _ABSOLUTE if options.videos else _RELATIVE),
        *_overlap(overlaps),
        *_seeds(counts),
        *_made(facts),
        *_prompts(options),
        "",
    ]
    path = folder / CARD_FILE
    write_whole(path, "\n".join(lines))
    return path


def _object(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_bytes())
    return facts


def _front(
    counts: Mapping[str, Any], rows: Mapping[str, int], overlaps: list[str]
) -> dict[str, Any]:
    licences = sorted(
        {source.get("licence") or "unknown" for source in counts.get("by_source", {}).values()}
    )
    total = sum(rows.values())
    size = next((name for limit, name in _SIZES if total < limit), "n>1M")
    kinds = sorted({name.partition("_")[0] for name in rows})
    configs = [
        {
            "config_name": kind,
            "data_files": [
                {"split": part, "path": f"data/{kind}_{part}.parquet"}
                for part in ("train", "validation")
                if f"{kind}_{part}" in rows
            ],
        }
        for kind in kinds
    ]
    return {
        "license": licences[0].lower().replace(" ", "-") if len(licences) == 1 else "other",
        "language": ["en"],
        "task_categories": ["video-text-to-text"],
        "tags": ["videojudge", *(f"overlap:{name}" for name in overlaps)],
        "size_categories": [size],
        "configs": configs,
    }


def _rows(rows: Mapping[str, int], paths: str) -> Iterator[str]:
    files = (
        (f"`data/{name}.jsonl`, `.parquet`, `data/chat_{name}.jsonl`", f"{number:,}")
        for name, number in rows.items()
    )
    yield from ("## Rows", "", *table(("file", "rows"), files))
    yield from ("", f"{_PARTS}{paths} TRL takes no videos: give it frames as `images`.", "")


def _overlap(overlaps: list[str]) -> Iterator[str]:
    yield from ("## Overlap with gold sets", "")
    if not overlaps:
        yield "No video of a gold set that was compared is among the seeds."
    for name in overlaps:
        yield (
            f"**`overlap:{name}`**: videos of the gold set `{name}` are among the seeds, because "
            "allow_overlap names it. A judge trained on these rows has seen that set's "
            "videos or texts: its rows there stay off the main table."
        )
    yield ""


def _seeds(counts: Mapping[str, Any]) -> Iterator[str]:
    rows = (
        (
            inert(name),
            inert(source.get("licence") or "not stated"),
            f"{source.get('read', 0):,}",
            f"{source.get('drawn', 0):,}",
        )
        for name, source in counts.get("by_source", {}).items()
    )
    yield from ("## Seeds", "", *table(("source", "licence", "read", "drawn"), rows))
    if dropped := counts.get("dropped", {}):
        reasons = ", ".join(f"{inert(why)} {n:,}" for why, n in dropped.items())
        yield from ("", f"Left out: {reasons}")
    guard = counts.get("gold_sets", {})
    compared, absent = guard.get("compared", []), guard.get("not_here", [])
    yield from ("", f"Kept apart from the gold sets: {', '.join(compared) or 'none'}.")
    if absent:
        yield f"Their data were not there, so nothing is known of: {', '.join(absent)}."
    yield ""


def _made(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## How it was made", "")
    for part, values in facts.items():
        entries = values.items() if isinstance(values, Mapping) else [("", values)]
        texts = ((k, v if isinstance(v, str) else json.dumps(v, ensure_ascii=False))
                 for k, v in entries)  # fmt: skip
        cells = ((inert(key), inert(text)) for key, text in texts)
        yield from (f"**{inert(part)}**", "", *table(("key", "value"), cells), "")


def _prompts(options: RowOptions) -> Iterator[str]:
    """Rows hold prompts as the judges of this release ask them, or those of the options."""
    rate, prefer = options.rate_prompt, options.prefer_prompt
    prompts = ((options.prompt or rate.name, rate), (options.pair_prompt or prefer.name, prefer))
    rows = ((inert(name), prompt.sha) for name, prompt in prompts)
    yield from ("**prompts of the rows**", "", *table(("prompt", "sha"), rows))
