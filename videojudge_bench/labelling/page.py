"""The page on which people rate answers: one file, or served on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.jsonl import find_videos
from videojudge_bench.labelling.session import Picked, Session, pick_labels
from videojudge_bench.report.page import STYLE_FILES, embedded, policy
from videojudge_bench.scale import RatingScale

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Round:
    """Picked answers on a page.

    Attributes:
        rows: what annotators see and export of each answer: nothing that tells its system.
        videos: the file of each answer's video; None where there is none.
    """

    picked: tuple[Picked, ...]
    rows: tuple[dict[str, Json], ...]
    videos: tuple[Path | None, ...]
    scale: RatingScale

    @classmethod
    def of(
        cls, session: Session, picked: list[Picked], folder: Path | None, scale: RatingScale
    ) -> Round:
        """Return a round, with videos from a folder, by default that of the answers.

        Raises:
            ConfigError: there is no such folder, or the scale does not fit on keys.
        """
        if scale.low < 0 or scale.high > 9:
            raise ConfigError(
                f"--scale {scale}: expected a scale within 0-9, one key a rating; rate on this one "
                "in a spreadsheet, and give the rows to --gold-subset"
            )
        answers = session.answers
        folder = folder or answers.folder
        by_id = {} if folder is None else find_videos(folder)
        if folder is not None:
            by_id |= {row.video_id: folder / row.video for row in answers.rows if row.video}
        paths = (by_id.get(each.unit.item.video_id) for each in picked)
        videos = tuple(path if path is not None and path.is_file() else None for path in paths)
        by_name = {row.name: row for row in answers.rows}
        seen = {"video_id", "video", "instruction", "response", "references"}
        contents = (
            by_name[unit.id].model_dump(mode="json", exclude_defaults=True, include=seen)
            for unit, _ in picked
        )
        rows = tuple(
            {"id": each.unit.id, **content, "labels": pick_labels(each.pick)}
            for each, content in zip(picked, contents, strict=True)
        )
        return cls(tuple(picked), rows, videos, scale)

    def html(self, page: Path | None) -> bytes:
        """Return the page, which loads its videos and nothing else, and runs only its own script.

        Args:
            page: its file; videos are named relative to it, so that both can be moved together.
                None where it is served.
        """
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
        )
        style = "".join(p.read_text(encoding="utf-8") for p in (*STYLE_FILES, _HERE / "label.css"))
        script = (_HERE / "label.js").read_text(encoding="utf-8")
        rows: list[Json] = [
            {"row": row, "video": self._url(path, page)}
            for row, path in zip(self.rows, self.videos, strict=True)
        ]
        content: Json = {
            "sheet": content_hash(list(self.rows))[:16],  # what the browser keeps labels under
            "levels": self.scale.values,
            "served": page is None,
            "rows": rows,
        }
        text = environment.get_template("label.html").render(
            style=Markup(style),
            script=Markup(script),
            policy=f"{policy(script, style)}; media-src 'self' file:; connect-src 'self'",
            data=embedded(content),
            scale=self.scale,
        )
        return text.encode("utf-8", "replace")

    def _url(self, video: Path | None, page: Path | None) -> str | None:
        if video is None:
            return None
        if page is None:
            return f"video/{self.videos.index(video)}"
        return quote(Path(relpath(video.resolve(), page.resolve().parent)).as_posix())
