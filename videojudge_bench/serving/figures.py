"""Figures of a server, in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Mapping, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from videojudge_bench._util.hashing import Json
from videojudge_bench.serving.queue import Batch

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Figures:
    """Counts requests, rows and batches."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "videojudge_requests", "Requests by path and status.", ("path", "status"),
            registry=registry,
        )  # fmt: skip
        self._request_seconds = Histogram(
            "videojudge_request_seconds", "From the first byte to the answer.",
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._rows = Counter(
            "videojudge_rows", "Rows answered: with a verdict, unparsed, or failed.", ("outcome",),
            registry=registry,
        )  # fmt: skip
        self._waiting = Gauge("videojudge_rows_waiting", "Rows in the queue.", registry=registry)
        self._batch_rows = Histogram(
            "videojudge_batch_rows", "Rows judged together.", registry=registry, buckets=_ROWS
        )
        self._groups = Counter(
            "videojudge_batch_groups", "Groups (video and instruction) in batches.",
            registry=registry,
        )  # fmt: skip
        self._judge_seconds = Histogram(
            "videojudge_batch_seconds", "Of the judge, a batch.",
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(path, str(status)).inc()
        self._request_seconds.observe(seconds)

    def count_lines(self, lines: Sequence[Mapping[str, Json]]) -> None:
        """Count rows by what became of them."""
        for outcome, n in Counts(map(_outcome, lines)).items():
            self._rows.labels(outcome).inc(n)

    def count_batch(self, batch: Batch) -> None:
        """Count what was judged together."""
        self._batch_rows.observe(batch.rows)
        self._groups.inc(batch.groups)
        self._judge_seconds.observe(batch.seconds)

    def text(self, waiting: int) -> bytes:
        """Return the figures, with the number of rows that wait now."""
        self._waiting.set(waiting)
        return bytes(generate_latest(self._registry))


def _outcome(line: Mapping[str, Json]) -> str:
    if line.get("failed"):
        return "failed"
    return "unparsed" if "unparsed" in line else "verdict"
