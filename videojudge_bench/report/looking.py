"""Frames and prompts of the items with the worst disagreements."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench import registry
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.goldsets.view import view_of
from videojudge_bench.items import Item, Pair
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.prompted.config import RATE, WRITE
from videojudge_bench.prompts import (
    PromptOptions,
    PromptTemplate,
    RenderedPrompt,
    find_prompt,
    load_prompt,
)
from videojudge_bench.report.items import cut
from videojudge_bench.video import FramePolicy, load_frames

if TYPE_CHECKING:
    from videojudge_bench.video.batch import Pixels

FRAMES = 4
POLICY = FramePolicy(max_frames=FRAMES, fps=None, min_pixels=0, max_pixels=240 * 135, factor=4)
QUALITY = 60
PROMPT_CHARACTERS = 20_000


def thumbnails(run: OpenRun, item_ids: Sequence[str], videos: Path | None) -> dict[str, Json]:
    """Return by video id [data URIs of frames, seconds of each, problem or ""]."""
    files = view_of(run.gold_set, run.record.references, videos).videos
    ids = dict.fromkeys(run.gold_set.by_id[item_id].item.video_id for item_id in item_ids)
    return {video_id: _frames(files.get(video_id)) for video_id in ids}


def _frames(path: Path | None) -> Json:
    if path is None:
        return [[], [], "the video is not on this machine; give its folder with --videos DIR"]
    try:
        batch = load_frames(path, POLICY)
    except VideoError as error:
        return [[], [], f"{path.name}: {error.problem}"]
    times: list[Json] = [round(time, 1) for time in batch.times_seconds]
    return [[_uri(frame) for frame in batch.frames], times, ""]


def _uri(frame: Pixels) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, format="WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


class Prompts:
    """The prompts of a run, rendered again from its signature and the installed templates.

    Attributes:
        problem: why they cannot be rendered; empty where they can.
        is_asked: whether the judge asks a model at all.
    """

    def __init__(self, run: OpenRun) -> None:
        self._run, self._settings = run, run.record.judge
        self.problem, self.is_asked = "", True
        self._templates: dict[str, PromptTemplate] = {}
        try:
            self._cls = registry.judge_class(str(self._settings.get("judge")))
            self._templates = self._load_templates()
        except ConfigError as error:
            self.problem = f"the prompt cannot be rendered here: {error}"

    def _load_templates(self) -> dict[str, PromptTemplate]:
        if not issubclass(self._cls, PromptedJudge):
            self.is_asked = False
            return {}
        if str(self._settings.get("rubric", "")).startswith("sha256:"):
            raise ConfigError("it was shown rubrics from a file")
        has_descriptions = "descriptions" in self._settings
        if has_descriptions and self._settings.get("video") in ("all", "description"):
            raise ConfigError("it was shown descriptions from a file")
        templates: dict[str, PromptTemplate] = {}
        for ability, name in self._cls.prompts.items():
            if (ability, self._settings.get("pairs")) == ("prefer", RATE):
                continue
            template = load_prompt(find_prompt(self._cls, name, PromptedJudge))
            made_with = self._settings.get(f"prompt_{ability}")
            if made_with != template.sha:
                raise ConfigError(
                    f"the run used another version of it ({made_with}, here {template.sha})"
                )
            templates[ability] = template
        return templates

    def of(self, item_id: str) -> str:
        """Return the prompt of an item as text, or why there is none.

        Empty where no model is asked. A judge without a prompt for pairs was asked about each
        response: both prompts are given.
        """
        if self.problem or not self.is_asked:
            return self.problem
        item = self._visible_item(item_id)
        parts: Sequence[Item | Pair] = [item]
        if isinstance(item, Pair) and "prefer" not in self._templates:
            parts = item.sides()
        try:
            prompts = [self._rendered(part) for part in parts]
        except ConfigError as error:
            return f"the prompt cannot be rendered here: {error}"
        return cut("\n\n".join(map(_text, prompts)), PROMPT_CHARACTERS)

    def _rendered(self, part: Item | Pair) -> RenderedPrompt:
        template = self._templates["rate" if isinstance(part, Item) else "prefer"]
        parts = PromptOptions(
            feedback=bool(self._settings.get("feedback", True)),
            write_rubric=self._settings.get("rubric") == WRITE,
        )
        return template.render(part, self._run.info.scale, parts)

    def _visible_item(self, item_id: str) -> Item | Pair:
        """Return the item as the judge's prompt showed it, by the setting `video`."""
        item = self._run.gold_set.by_id[item_id].item
        setting = self._settings.get("video")
        looks = setting in ("frames", "shuffled")
        return replace(
            item,
            references=item.references[: self._run.record.references],
            video=Path(item.video_id) if looks else None,
            description=item.description if setting in ("all", "description") else None,
        )


def prompts_of(runs: Sequence[OpenRun], item_ids: Sequence[str]) -> Mapping[str, Json]:
    """Return by item id the prompts of each run, as text."""
    sources = [Prompts(run) for run in runs]
    return {item_id: [source.of(item_id) for source in sources] for item_id in item_ids}


def _text(prompt: RenderedPrompt) -> str:
    system = f"[system]\n{prompt.system}\n\n[user]\n" if prompt.system else ""
    return f"{system}{prompt.shared}{prompt.response}".strip()
