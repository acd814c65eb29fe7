"""A chart of a benchmark's figures, for those that compare several ways to do one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from videojudge_bench._util import charts

Data = Mapping[str, Any]


def chart_of(stem: str, data: Data) -> str | None:
    """Return the chart of a benchmark as SVG, None for one that has none."""
    made = _CHARTS.get(stem)
    return None if made is None else made(data)


def _decode(data: Data) -> str:
    groups = {
        clip: {
            name.replace("_", " "): figures["cpu_seconds"]
            for name, figures in methods.items()
            if isinstance(figures, Mapping) and "cpu_seconds" in figures
        }
        for clip, methods in data.items()
        if clip[0].isdigit()
    }
    return _bars(groups, label="CPU seconds per video")


def _shared_prefix(data: Data) -> str:
    groups = {
        name.replace("_", " "): {
            way: sum(run["cpu_seconds_" + way]) / len(run["cpu_seconds_" + way])
            for way in ("shared", "naive")
        }
        for name, run in data.items()
        if isinstance(run, Mapping)
    }
    return _bars(groups, label="CPU seconds for five responses")


def _judge_against_stock(data: Data) -> str:
    groups = {
        f"{clip} clip": {who: figures["all"] for who, figures in data[clip]["cpu_seconds"].items()}
        for clip in data
        if clip[0].isdigit()
    }
    return _bars(groups, label="CPU seconds for five responses, decoding included")


def _engines_speed(data: Data) -> str:
    groups = {f"{name} vision tokens": case["cpu_seconds"] for name, case in data["cases"].items()}
    return _bars(groups, label="CPU seconds for five answers")


def _server_client(data: Data) -> str:
    return _bars({"": data["cpu_ms_per_request"]}, label="client's CPU, ms per request")


def _bars(groups: Mapping[str, Mapping[str, float]], *, label: str) -> str:
    """The values of each group, the smallest on top."""
    bars = [
        charts.Bar(f"{name}, {group}" if group else name, value, None, None, "judge")
        for group, values in groups.items()
        for name, value in sorted(values.items(), key=lambda pair: pair[1])
    ]
    return charts.document(charts.intervals(bars, label))


_CHARTS: Mapping[str, Callable[[Data], str]] = {
    "decode": _decode,
    "engines_speed": _engines_speed,
    "judge_against_stock": _judge_against_stock,
    "server_client": _server_client,
    "shared_prefix": _shared_prefix,
}
