"""A judge that `videojudge serve` runs elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import cast

from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.run._batcher import AsyncBatcher, HandOver
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage, Verdict


class Remote(Judge):
    """Asks a judge behind `videojudge serve`, under that judge's name and identity.

    Videos are not sent: the server has them in a folder of its own, under the same names.

    Args:
        url: of the server, such as http://127.0.0.1:8080.
        token: that the server wants; empty takes the environment variable VIDEOJUDGE_TOKEN.
        rows: of a request.
        concurrency: requests at once.
        patience: seconds that a server which is full or away is asked again.

    Raises:
        ConfigError: no server answers there.
    """

    unsigned = frozenset({"url", "token", "rows", "concurrency", "patience"})

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        rows: int = 64,
        concurrency: int = 4,
        patience: float = 300.0,
    ) -> None:
        from videojudge_bench.serving.client import JudgeClient  # needs aiohttp

        self._client = JudgeClient(url, token=token, patience_seconds=patience)
        self._served = served = self._client.served()
        if rows < 1 or concurrency < 1:
            raise ConfigError(f"rows={rows}, concurrency={concurrency}: expected numbers from 1 up")
        self._rows, self._concurrency = min(rows, served.max_rows), concurrency
        self._away = False
        self.name = served.judge
        self.requires = frozenset(served.requires - {"video"})
        self.abilities = frozenset(served.abilities)
        self._scale = self.scale = None if served.scale is None else RatingScale(*served.scale)
        self.takes_scale, self.reader_version = served.takes_scale, served.reader

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the rating of the served judge."""
        return cast("Rating | Unparsed", next(iter(self.judge([item]))).verdict)

    def prefer(self, pair: Pair) -> Preference | Unparsed:
        """Return the preference of the served judge, in this order."""
        return cast("Preference | Unparsed", next(iter(self.judge([pair]))).verdict)

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield judgements as they come, `concurrency` requests of `rows` items at a time."""
        if self.scale != self._scale:
            raise ConfigError(f"the server rates on {self._scale}, and {self.scale} is needed here")
        for judgements in AsyncBatcher(self._deliver, self._requests(items), self._concurrency):
            yield from judgements

    def visible(self, item: Item | Pair) -> Item | Pair:
        """Return an item with what the served judge uses of it."""
        return item if self._served.shows_video else replace(item, video=None)

    def reread(self, item: Item | Pair, judgement: Judgement) -> None:
        """Replies are read by the server: what another version made of them is asked again."""

    def settings(self) -> Mapping[str, Scalar]:
        """Return those of the served judge."""
        served = self._served
        own = {
            "class_source": f"sha256:{served.source[:12]}" if served.source else "",
            "files": f"sha256:{content_hash(served.files)[:12]}" if served.files else "",
        }
        return {**served.settings, **{name: value for name, value in own.items() if value}}

    def _requests(self, items: Iterable[Item | Pair]) -> Iterator[list[Item | Pair]]:
        for _, alike in groupby(items, key=type):
            while chunk := list(islice(alike, self._rows)):
                yield chunk

    async def _deliver(
        self, items: Sequence[Item | Pair], deliver: HandOver[list[Judgement]]
    ) -> None:
        await deliver([*map(_judgement, items, await self._ask(items))])

    async def _ask(self, items: Sequence[Item | Pair]) -> Sequence[Mapping[str, Json]]:
        from videojudge_bench.serving.client import ServerAwayError

        rows: list[Json] = [_row(item) for item in items]
        path, more = ("/v1/score", {})
        if isinstance(items[0], Pair):
            path, more = "/v1/prefer", {"both_orders": False}
        try:
            answer = await self._client.post(path, {"rows": rows, **more}, patient=not self._away)
        except ConfigError:
            raise
        except VideoJudgeError as error:
            # Of a server that was away for long, no other request waits as long again.
            self._away = self._away or isinstance(error, ServerAwayError)
            failed: dict[str, Json] = {"unparsed": f"judge failed: {error}", "failed": True}
            return [failed] * len(items)
        self._away = False
        if answer.get("identity") != self._served.identity:
            raise ConfigError(
                f"{self._client.url} now serves another judge than at the start of this run; run "
                "the same command again"
            )
        return cast("Sequence[Mapping[str, Json]]", answer["results"])


def _row(item: Item | Pair) -> dict[str, Json]:
    row: dict[str, Json] = {
        "id": item.id,
        "video_id": item.video_id,
        "instruction": item.instruction,
        "references": list(item.references),
    }
    if item.description:
        row["description"] = item.description
    if item.subtitles:
        row["subtitles"] = [
            {"start_seconds": s.start_seconds, "end_seconds": s.end_seconds, "text": s.text}
            for s in item.subtitles
        ]
    if item.video is not None and item.video.stem != item.video_id:
        row["video"] = item.video.name
    if isinstance(item, Item):
        return {**row, "response": item.response}
    return {**row, "response_a": item.first, "response_b": item.second}


def _judgement(item: Item | Pair, line: Mapping[str, Json]) -> Judgement:
    result = line
    if "orders" in line:
        (result,) = cast("Sequence[Mapping[str, Json]]", line["orders"])
    verdict: Verdict
    if "unparsed" in line:
        verdict = Unparsed(str(line["unparsed"]))
    elif isinstance(item, Item):
        verdict = Rating(cast(float, result["score"]))
    else:
        verdict = Preference(cast(float, result["p_first"]))
    return Judgement(
        item.id,
        verdict,
        str(result.get("reply", "")),
        cast("Mapping[str, float]", result.get("probabilities", {})),
        Usage(
            cast(int, result.get("input_tokens", 0)),
            cast(int, result.get("output_tokens", 0)),
            cost=cast(float, result.get("cost", 0.0)),
        ),
        failed=bool(line.get("failed")),
        criteria=cast("Mapping[str, float | None]", line.get("criteria", {})),
    )
