"""Servers that mean harm or speak oddly, on some prompts of a run: what must come of each."""

from __future__ import annotations

import json
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from children import run
from servers import Fault, Handler, Server, judge_case, serving
from trials import Ground

KEY = "sk-torture-4f1d9c02b7"
EXTRA_MEBIBYTES = 50
MOST_SECONDS = 60.0
_TIMEOUT_SECONDS = 2.0
_PIECE = b" " * (1 << 20)
_ENDLESS_MEBIBYTES = 150  # more than any client needs to see
_SHARE = 30  # of so many prompts, one is attacked

Json = dict[str, Any]


@dataclass(frozen=True)
class Hostility:
    """A way to answer, and what must come of an item that is answered so.

    Attributes:
        what: in words.
        answer: sends it.
        outcome: `sound`: the same verdict as from a sound server; `none`: no verdict.
        once: only a prompt's first answer is so.
    """

    what: str
    answer: Fault
    outcome: Literal["sound", "none"]
    once: bool = False


class HostileServer(Server):
    """Answers some prompts of the run in one hostile way, and all others soundly."""

    def __init__(self, hostility: Hostility | None) -> None:
        super().__init__(0)
        self.hostility = hostility
        self.attacked: Counter[str] = Counter()

    def fault(self, prompt: str) -> Fault | None:
        """Return the hostile answer for the prompts that are attacked."""
        is_attacked = ", in video" in prompt and sum(prompt.encode()) % _SHARE == 0
        with self.lock:
            self.requests += 1
            if self.hostility is None or not is_attacked:
                return None
            self.attacked[prompt] += 1
            again = self.attacked[prompt] > 1
        return None if self.hostility.once and again else self.hostility.answer


def _endless(status: int, head: bytes) -> Fault:
    def answer(handler: Handler, _: bytes) -> None:
        handler.begin(1 << 40, status)
        handler.wfile.write(head)
        for _piece in range(_ENDLESS_MEBIBYTES):
            handler.wfile.write(_PIECE)
        handler.close_connection = True

    return answer


@cache
def _zipped() -> bytes:
    made = zlib.compressobj(1, zlib.DEFLATED, 31)  # as gzip does, a piece at a time
    pieces = [made.compress(_PIECE) for _ in range(_ENDLESS_MEBIBYTES)]
    return b"".join([*pieces, made.flush()])


def _bomb(handler: Handler, _: bytes) -> None:
    handler.send(_zipped(), Content_Encoding="gzip")


def _trickle(handler: Handler, body: bytes) -> None:
    handler.begin(len(body))
    for byte in body:
        handler.wfile.write(bytes([byte]))
        time.sleep(1.0)


def _changed(change: Callable[[Json], object]) -> Fault:
    """The sound answer with a change."""

    def answer(handler: Handler, body: bytes) -> None:
        whole = json.loads(body)
        change(whole)
        handler.send(json.dumps(whole).encode())

    return answer


def _choice(**fields: object) -> Fault:
    return _changed(lambda whole: whole["choices"][0].update(fields))


def _in_parts(whole: Json) -> None:
    message = whole["choices"][0]["message"]
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "<score>1</score>"}]}
    message["content"] = [thought, {"type": "text", "text": message["content"]}]


def _echo(whole: Json) -> None:
    message = whole["choices"][0]["message"]
    message["content"] = message["content"].replace("Hm.", f"You sent Bearer {KEY}.")


_ERROR = json.dumps({"error": {"message": f"bad request, Authorization: Bearer {KEY}"}}).encode()
_LIMIT = json.dumps({"choices": None, "error": {"code": 429, "message": "later"}}).encode()
_NULLS = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
_UNLISTED = {"content": [{"token": "x", "logprob": None, "top_logprobs": None, "bytes": None}]}

KINDS = (
    Hostility("an endless body", _endless(200, b'{"choices": ["'), "none"),
    Hostility("an endless error", _endless(400, b'{"error": "'), "none"),
    Hostility("a gzip bomb", _bomb, "none"),
    Hostility("a byte a second", _trickle, "none"),
    Hostility("the key in a reply", _changed(_echo), "sound"),
    Hostility("the key in an error", lambda handler, _: handler.send(_ERROR, 400), "none"),
    Hostility("no usage", _changed(lambda whole: whole.update(usage=None)), "sound"),
    Hostility("usage of nulls", _changed(lambda whole: whole.update(usage=_NULLS)), "sound"),
    Hostility("logprobs null", _choice(logprobs=None), "sound"),
    Hostility("logprobs of nulls", _choice(logprobs=_UNLISTED), "sound"),
    Hostility(
        "429 within 200", lambda handler, _: handler.send(_LIMIT), "sound", once=True
    ),
    Hostility("a reply in parts", _changed(_in_parts), "sound"),
    *(
        Hostility(f"finish_reason {reason}", _choice(finish_reason=reason), "none")
        for reason in ("abort", "content_filter", "error", "length")
    ),
)  # fmt: skip
QUICK = tuple(kind for kind in KINDS if kind.what not in ("a byte a second", "a gzip bomb"))[3:]


def attack_all(ground: Ground, kinds: tuple[Hostility, ...] = KINDS) -> Json:
    """Run a judge on each hostile server.

    Returns:
        `rows`: what was tried and what it cost; `lost`: promises that were broken, in words.
    """
    rows: list[Json] = []
    lost: list[str] = []
    sound = _attacked(ground, None)[0]
    with serving(Server(1)) as elsewhere:
        elsewhere.share = 0.0
        redirect = Hostility("a redirect elsewhere", _redirect(elsewhere.base_url), "none")
        for kind in (*kinds, redirect):
            row, problems = _attacked(ground, kind, sound)
            rows.append({name: row[name] for name in ("what", "attacked", "mebibytes", "seconds")})
            lost += [f"{kind.what}: {problem}" for problem in problems]
        if elsewhere.requests:
            lost.append(f"{redirect.what}: {elsewhere.requests} requests went there")
    return {"lost": lost, "rows": rows}


def _redirect(base_url: str) -> Fault:
    return lambda handler, _: handler.send(b"", 307, Location=f"{base_url}/chat/completions")


def _attacked(
    ground: Ground, kind: Hostility | None, sound: Json | None = None
) -> tuple[Json, list[str]]:
    with serving(HostileServer(kind)) as server:
        case = judge_case(server.base_url, api_key=KEY, timeout_seconds=_TIMEOUT_SECONDS, retries=1)
        with ground.fresh(case) as folder:
            ended = run(case.work, folder)
            verdicts, peak = folder / "verdicts.jsonl", folder / "peak_kibibytes"
            lines = verdicts.read_text().splitlines() if verdicts.exists() else []
            written = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
            mebibytes = int(peak.read_text()) / 1024 if peak.exists() else 0.0
    more = round(mebibytes - (sound["mebibytes"] if sound else 0.0))
    row = {
        "what": kind.what if kind else "sound",
        "attacked": len(server.attacked),
        "mebibytes": more,
        "seconds": round(ended.seconds, 1),
        "verdicts": dict(json.loads(line) for line in lines),
    }
    if kind is None or sound is None:
        assert ended.code == 0, ended.said
        return row, []
    problems = [f"it breaks: {ended.last_words}"] * ended.broke
    problems += ["the key was written or said"] * (KEY in ended.said or KEY.encode() in written)
    problems += [f"{more} MiB more"] * (more > EXTRA_MEBIBYTES)
    problems += [f"{row['seconds']} seconds"] * (ended.seconds > MOST_SECONDS)
    return row, problems + _changes(kind, row, sound)


def _changes(kind: Hostility, row: Json, sound: Json) -> list[str]:
    """Return what is wrong with the verdicts: only attacked items may lack theirs."""
    found, whole = row["verdicts"], sound["verdicts"]
    other = {item: found.get(item, "no line") for item in whole if found.get(item) != whole[item]}
    if kind.outcome == "sound":
        first = list(other.values())[:1]
        return [f"{len(other)} verdicts are not the sound ones: {verdict}" for verdict in first]
    wrong = [verdict for verdict in other.values() if not verdict.startswith("Unparsed(")]
    problems = [f"read as {verdict}" for verdict in wrong[:1]]
    if len(other) != row["attacked"]:
        problems.append(f"{len(other)} items have no verdict, {row['attacked']} were attacked")
    return problems
