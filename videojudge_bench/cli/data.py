"""The verbs of `videojudge data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from videojudge_bench._util.command import Flag, new_app, opened_input
from videojudge_bench._util.terminal import EXIT_FAILED, say, say_json, show
from videojudge_bench.cli._options import GoldSetName, Json, Overwrite
from videojudge_bench.errors import ConfigError

app = new_app("data", "List, verify, prepare and add gold sets.")

Released = Literal["llava", "longvideobench", "pairwise", "pairwise_h", "vcg", "videoautoarena"]


@app.command(name="list")
def list_sets(*, json: Json = False) -> None:
    """List the gold sets, and how to get those that are not here."""
    from videojudge_bench.goldsets import verify

    show(verify.list_sets(), as_json=json)


@app.command(name="verify")
def verify_sets(name: GoldSetName | None = None, /, *, json: Json = False) -> int:
    """Count and hash a gold set, and compare with its release.

    Exit status: 0 as released, 1 one of all is broken, 2 used wrongly or broken.

    Args:
        name: a gold set; default: all of them
    """
    from videojudge_bench.goldsets import verify

    lines, broken = verify.verify_all() if name is None else (verify.verify(name), False)
    if json:
        say_json({"broken": broken, "findings": lines})
    else:
        say(lines)
    return EXIT_FAILED if broken else 0


@app.command
def ids(name: GoldSetName, /) -> None:
    """Print item ids beside the public keys of a set, as CSV.

    Joins your own scores to our item ids: the file that judge=precomputed reads has a column `id`.

    Args:
        name: a gold set
    """
    from videojudge_bench.goldsets import verify

    say(verify.ids(name))


@app.command
def add(
    source: str,
    /,
    *,
    name: str,
    map: str | None = None,
    dry_run: Flag = False,
    videos: Path | None = None,
    scale: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    kind: Literal["human", "model", "constructed", "options"] | None = None,
    title: str | None = None,
    licence: str | None = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a task of anyone's ratings, options or preferences.

    Checks a JSON Lines file and makes the task videojudge_NAME of it. One row, one thing with gold:

      ratings      {"video_id": "v", "instruction": "…", "response": "…",
                    "ratings": [4, 5]}
      options      {"video_id": "v", "instruction": "…", "options": ["…", "…"],
                    "correct": 0}
      preferences  {"video_id": "v", "instruction": "…", "response_a": "…",
                    "response_b": "…", "preferences": ["a", "tie"]}

    Optional in every row: id, video (path inside the folder of videos), references, description,
    subtitles, labels; in ratings also system (who answered).

    With --map the source is anything: .jsonl, .json, .csv, .tsv or .parquet, a folder of such
    files, or hf:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT] of the Hugging Face hub. MAP.yaml names the
    column, or the JMESPath expression, of each field:

      video_id: clip
      instruction: {constant: Describe the video.}
      response: output.text
      ratings: [anna, ben]
      drop: "!output.text"

    Rows that do not fit are counted and named by their number; the others are added.

    Args:
        source: JSON Lines, .jsonl.gz, or - for standard input; with --map also others
        name: of the set; the task is videojudge_NAME
        map: MAP.yaml, or one of autoeval_video, chai, chai_pairs, cvrr_es, tempcompass
        dry_run: show counts, the distribution of the gold and three rows, and write nothing
        videos: folder of the videos
        scale: LOW-HIGH of the ratings; default: the mapping's, or 1-5
        kind: where the gold comes from; default: the mapping's, or human, and options for options.
            Judges are not ranked by labels of a model
        title: one line for tables; default: the mapping's, or the file's name
        licence: of the data; default: the mapping's, or not stated
    """
    from videojudge_bench.goldsets import adding
    from videojudge_bench.scale import read_scale

    with opened_input(Path(source)) as path:
        request = adding.Request(
            source=str(path),
            name=name,
            videos=videos,
            scale=None if scale is None else read_scale(scale),
            kind=kind,
            title=title,
            licence=licence,
            overwrite=overwrite,
            mapping=map,
            dry_run=dry_run,
        )
        say(adding.add(request).lines())


@app.command
def remove(name: GoldSetName, /) -> None:
    """Remove a set that was added or prepared.

    Args:
        name: the set; its videos stay where they are
    """
    from videojudge_bench.goldsets import adding

    say([adding.remove(name)])


@app.command
def prepare(
    name: Released,
    /,
    *,
    release: Path,
    videos: Path | None = None,
    subtitles: Path | None = None,
    no_subtitles: Flag = False,
) -> None:
    """Make one of our sets from its public release.

    The task then serves the full set in the place of the sample.

      llava, vcg            VideoJudgeLLaVA and VCG: a file in our schema (ratings)
      pairwise, pairwise_h  VideoJudge-Pairwise(-H): a file in our schema (pairs)
      longvideobench        lvb_val.json
      videoautoarena        videoautobench.latest.json

    Args:
        name: the set
        release: its file
        videos: folder of the videos
        subtitles: of longvideobench: folder of the subtitle files
        no_subtitles: of longvideobench: leave them out, though a third of the questions quote them
    """
    from videojudge_bench.goldsets.verify import prepare_released

    is_long = name == "longvideobench"
    if (subtitles is not None) + no_subtitles != is_long:
        options = (
            "one of --subtitles DIR and --no-subtitles" if is_long else "no option of subtitles"
        )
        raise ConfigError(f"data prepare {name}: expected {options}")
    say(prepare_released(name, release, videos, subtitles))
