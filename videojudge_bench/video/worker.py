"""The process that decodes: it can be killed, which a thread cannot.

It reads one request per line from its standard input and answers in lines of JSON: `{"frames": …}`
when it knows how many the video has, then `{"facts": …}` or `{"error": …}`. Pictures go to the file
that the request names; a request without a policy asks what the file says of its video. It ends
when its standard input does.
"""

from __future__ import annotations

import gc
import json
import math
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.video.container import read_facts
from videojudge_bench.video.decoding import decode
from videojudge_bench.video.policy import FramePolicy

GRACE_SECONDS = 5
"""The parent kills this process on time; the alarm is for when the parent is gone."""


def main() -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # decoders print; that must not get among the replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    for module in ("av", "numpy"):  # ready means: decoding can start
        __import__(module)
    _say(replies, {"ready": True})
    for line in sys.stdin.buffer:
        _say(replies, _answer(json.loads(line), replies))
        gc.collect()  # PyAV leaves a frame or two in reference cycles


def _answer(request: dict[str, object], replies: BinaryIO) -> Json:
    path = Path(str(request["path"]))
    limit, per_frame = request["limit_seconds"], request["limit_per_frame_seconds"]
    assert isinstance(limit, (int, float)), "a number of seconds"
    assert isinstance(per_frame, (int, float)), "a number of seconds"

    def on_length(frames: int) -> None:
        _set_alarm(limit + per_frame * frames)
        _say(replies, {"frames": frames})

    _set_alarm(limit)
    try:
        if "policy" not in request:
            return {"facts": asdict(read_facts(path))}
        policy = FramePolicy(**request["policy"])  # type: ignore[arg-type] # made from a policy
        facts = decode(path, policy, Path(str(request["target"])), on_length)
    except VideoError as error:
        return {"error": "video", "problem": error.problem, "fix": error.fix}
    except ConfigError as error:
        return {"error": "config", "problem": str(error)}
    except OSError as error:
        return {"error": "disk", "problem": f"{type(error).__name__}: {error}"}
    finally:
        _set_alarm(None)
    return {"facts": asdict(facts)}


def _set_alarm(seconds: float | None) -> None:
    """End this process that many seconds from now, even if it hangs."""
    if hasattr(signal, "alarm"):
        signal.alarm(0 if seconds is None else math.ceil(seconds) + GRACE_SECONDS)


def _say(replies: BinaryIO, message: Json) -> None:
    replies.write(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
