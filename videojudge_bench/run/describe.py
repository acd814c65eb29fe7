"""Dense descriptions of videos by any engine with video input, saved one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from videojudge_bench import goldsets, registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import (
    Continuation,
    Engine,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    Result,
    Sampling,
    complete_all,
)
from videojudge_bench.errors import ConfigError, JournalBusyError
from videojudge_bench.goldsets.jsonl import find_videos
from videojudge_bench.goldsets.view import DescriptionRow, read_rows_of, view_of
from videojudge_bench.items import Item
from videojudge_bench.prompts import PROMPTS_FOLDER, PromptTemplate, load_prompt
from videojudge_bench.run._batcher import AsyncBatcher, HandOver
from videojudge_bench.run.journal import cut_torn_line
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import render

Video = tuple[str, Path]

AT_ONCE = 16
"""Number of concurrent videos; an engine may bound its requests further."""


@dataclass(frozen=True)
class DescribeOptions:
    """Options for writing descriptions; `prompt` is a file in place of `describe.jinja`."""

    engine: str
    engine_options: Mapping[str, Scalar] = field(default_factory=dict)
    prompt: Path | None = None
    sampling: Sampling = Sampling(max_tokens=2048)


def videos_to_describe(
    gold_set: str | None, folder: Path | None, limit: int | None
) -> dict[str, Path]:
    """Return the first `limit` videos of a gold set, or of a folder, by id and in that order.

    Raises:
        ConfigError: neither a gold set nor a folder is given, or no video is found.
    """
    if gold_set is not None:
        view = view_of(goldsets.load(gold_set), 0, folder)
        video_ids = {example.item.video_id for example in view.gold_set.examples}
        videos = {i: path for i, path in sorted(view.videos.items()) if i in video_ids}
    elif folder is not None:
        videos = dict(sorted(find_videos(folder).items()))
    else:
        raise ConfigError("expected videos, got none: give --gold-set NAME, --videos DIR, or both")
    if not videos:
        where = folder or f"the folder of {gold_set}"
        raise ConfigError(f"no video was found in {where}; give --videos DIR")
    return dict(list(videos.items())[:limit])


class Describer:
    """Writes descriptions into a file; resumes a run that was stopped.

    Raises:
        ConfigError: unknown engine or option, an engine that takes no video, a prompt that cannot
            be read.
    """

    def __init__(self, options: DescribeOptions) -> None:
        self._options = options
        path = options.prompt or PROMPTS_FOLDER / "describe.jinja"
        self._template: PromptTemplate = load_prompt(path)
        self._engine: Engine = registry.build_engine(options.engine, options.engine_options)
        if "video" not in self._engine.capabilities:
            raise ConfigError(
                f"the engine {options.engine!r} takes text alone here; a description needs a model "
                "that takes videos"
            )

    @property
    def made_by(self) -> str:
        """Return what the descriptions depend on: engine, model, frames, prompt and decoding."""
        sampling = self._options.sampling
        return render(
            {
                "engine": self._options.engine,
                **self._engine.settings(),
                "prompt": self._template.sha,
                "temperature": float(sampling.temperature),
                "max_tokens": sampling.max_tokens,
                "seed": sampling.seed,
            }
        )

    def waiting(self, videos: Mapping[str, Path], output: Path) -> list[Video]:
        """Return the videos that a file does not describe yet.

        Raises:
            ConfigError: the file holds descriptions that were made in another way.
            DataError: the file is malformed.
            JournalBusyError: another process writes it.
        """
        with _locked(output):
            done = self._described(output)
        return [(video_id, path) for video_id, path in videos.items() if video_id not in done]

    def _described(self, output: Path) -> set[str]:
        cut_torn_line(output)
        begun = output.exists() and output.stat().st_size > 0
        rows = list(read_rows_of(output)) if begun else []
        others = sorted({row.made_by for row in rows} - {self.made_by})
        if others:
            raise ConfigError(
                f"{output} holds descriptions made in another way:\n  {others[0]}\nand these would "
                f"be\n  {self.made_by}\nGive another file, or the options of that one"
            )
        return {row.video_id for row in rows}

    def write(self, videos: Sequence[Video], output: Path) -> Iterator[tuple[str, str]]:
        """Describe videos; yield each one's id and, where it failed, why ("" otherwise).

        A description is on disk before its id comes out. Videos that the file has by now, because
        another process was faster, are left out. Raises as `waiting`.
        """
        made_by = self.made_by
        with _locked(output):
            done = self._described(output)
            waiting = (video for video in videos if video[0] not in done)
            with output.open("ab") as file:
                for video_id, reply in AsyncBatcher(self._ask, waiting, AT_ONCE):
                    problem = _problem(reply)
                    if isinstance(reply, Reply) and not problem:
                        row = DescriptionRow(
                            video_id=video_id, description=reply.text.strip(), made_by=made_by
                        )
                        file.write(row.model_dump_json().encode() + b"\n")
                        file.flush()
                        os.fsync(file.fileno())
                    yield video_id, problem

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    async def _ask(self, video: Video, hand_over: HandOver[tuple[str, Result]]) -> None:
        video_id, path = video
        item = Item(video_id, video_id, "", "", video=path)
        prompt = self._template.render(item, RatingScale())
        tail = Continuation(video_id, prompt.response)
        prefix = Prefix(prompt.system, prompt.shared, path)
        group = PromptGroup(prefix, (tail,), sampling=self._options.sampling)
        (reply,) = await complete_all(self._engine, group)
        await hand_over((video_id, reply))


def _problem(reply: Result) -> str:
    if isinstance(reply, EngineError):
        return reply.reason
    if not reply.finished:
        return "the description was cut off at max_tokens; give more of them"
    return "" if reply.text.strip() else "the model wrote nothing"


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(output.with_name(f"{output.name}.lock")).acquire(timeout=0)
    except Timeout as error:
        raise JournalBusyError(f"another process is writing {output}; wait for it") from error
    with held:
        yield
