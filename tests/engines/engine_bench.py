"""One trained judge on every engine there is, and what is kept of each comparison.

Test modules name this one in `pytest_plugins`: its fixtures are then the same ones in all of them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest
from real_servers import Served, transformers_serve, vllm
from tiny_judges import trained_judge

from videojudge_bench._util.hashing import Json
from videojudge_bench.analysis.parity import Parity, Side, compare_judges
from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.judges.tiny_qwen import FAMILIES, Family
from videojudge_bench.verdicts import Unparsed

ENVIRONMENT = "VIDEOJUDGE_VLLM"
"""Names the environment that `setup_vllm.sh` makes."""

FIGURES, JUDGES = "VIDEOJUDGE_ENGINES_FIGURES", "VIDEOJUDGE_ENGINES_JUDGES"
"""Name a file for what was measured, and a folder in which judges are kept."""

ITEMS = 28
HERE = "in process"


@dataclass
class Figures:
    """What was measured, for results/benchmarks/engines.json.

    Attributes:
        parity: a row for each comparison of two engines.
        answers: by server and what was asked of it: what came of it.
    """

    parity: list[dict[str, Json]] = field(default_factory=list)
    answers: dict[str, Json] = field(default_factory=dict)


@dataclass
class Bench:
    """A trained judge of one family, and servers that have it.

    Attributes:
        family: of the model.
        judge: its folder.
        folder: for the servers' logs.
        figures: where comparisons are kept.
        stack: ends the servers.
        running: by name; each is started once, when it is first wanted.
    """

    family: Family
    judge: Path
    folder: Path
    figures: Figures
    stack: ExitStack
    running: dict[str, Served] = field(default_factory=dict)

    def vllm(self, name: str = "vllm", changes: Mapping[str, str | None] | None = None) -> Served:
        """Return a vLLM with the judge; `changes` are of its flags."""
        if name not in self.running:
            made = vllm(vllm_environment(), self.judge, self.folder / f"{name}.log", changes)
            self.running[name] = self.stack.enter_context(made)
        return self.running[name]

    def transformers(self) -> Served:
        """Return `transformers serve` with the judge."""
        name = "transformers"
        if name not in self.running:
            made = transformers_serve(self.judge, self.folder / f"{name}.log")
            self.running[name] = self.stack.enter_context(made)
        return self.running[name]

    def asked(self, served: Served | None = None, options: str = "") -> str:
        """Return the judge in this process or behind a server, as a command line has it."""
        where = "device=cpu,dtype=float32"
        if served is not None:
            where = f"engine=openai,base_url={served.base_url},model={served.model}"
        parts = (f"videojudge,pretrained={self.judge}", "max_tokens=64", where, options)
        return ",".join(part for part in parts if part)

    def compare(
        self,
        servers: tuple[Served | None, Served],
        options: str,
        *,
        gold_set: str = "vcg",
        limit: int | None = ITEMS,
    ) -> tuple[Parity, dict[str, Json]]:
        """Return what two engines make of the same items, and the row that is kept of it."""
        one, other = (self.asked(server, options) for server in servers)
        found = compare_judges(one, other, gold_set, limit=limit)
        engines = [HERE if server is None else server.program for server in servers]
        return found, self.keep(found, engines, options)

    def refusal(self, served: Served, asked: str, what: str) -> str:
        """Return what asking a judge ends with, and keep it without addresses and folders."""
        with pytest.raises(VideoJudgeError) as caught:
            compare_judges(asked, asked, "vcg", limit=2)
        said = str(caught.value)
        named = re.sub(r"(?<=[=( ])/\S+/", "", said.replace(served.base_url, "URL"))
        self.figures.answers[f"{self.family}: {what}"] = named
        return said

    def keep(self, found: Parity, engines: list[str], asked: str) -> dict[str, Json]:
        """Keep a comparison as a row of figures, and return that."""
        prompts, apart = found.prompts, found.differences.values()
        row: dict[str, Json] = {
            "model": self.family,
            "engines": list[Json](engines),
            "gold_set": found.gold_set,
            "asked": asked,
            "prompts": len(prompts),
            "token_counts_equal": sum(p.tokens[0] == p.tokens[1] > 0 for p in prompts),
            "prompts_equal": sum(p.is_known and not p.difference for p in prompts),
            "replies_equal": sum(prompt.replies_equal for prompt in prompts),
            "near_ties": sum(prompt.is_near_tie for prompt in prompts),
            "verdicts": [_parsed(side) for side in (found.a, found.b)],
            "mean_difference": round(sum(apart) / len(apart), 6) if apart else None,
            "largest_difference": round(max(apart), 6) if apart else None,
            "same_verdicts": found.is_same,
        }
        self.figures.parity.append(row)
        return row


def vllm_environment() -> Path:
    """Return the folder of the environment with a vLLM; the test is skipped where there is none."""
    folder = os.environ.get(ENVIRONMENT)
    if not folder:
        pytest.skip(f"{ENVIRONMENT} names no environment; `make test-engines` makes one")
    return Path(folder).resolve()


def _parsed(side: Side) -> int:
    verdicts = (judgement.verdict for judgement in side.judgements.values())
    return sum(not isinstance(verdict, Unparsed) for verdict in verdicts)


@pytest.fixture(scope="session", name="figures")
def measured_figures() -> Iterator[Figures]:
    """Where tests leave what they measured; written at the end, where the variable names a file."""
    found = Figures()
    yield found
    if path := os.environ.get(FIGURES):
        report = {
            "what": "one tiny trained judge on several engines, float32, on CPUs",
            "transformers": version("transformers"),
            "torch": version("torch"),
            "parity": found.parity,
            "answers": found.answers,
        }
        Path(path).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="session", params=FAMILIES, name="bench")
def bench_of_a_family(
    request: pytest.FixtureRequest, figures: Figures, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """A trained judge of each family; its servers end before those of the next begin.

    Tests share one store of frames: decoding is not what they are about.
    """
    kept = os.environ.get(JUDGES)
    folder = Path(kept) if kept else tmp_path_factory.getbasetemp()
    judge = trained_judge(folder, request.param)
    logs = tmp_path_factory.mktemp(f"servers-{request.param}")
    with ExitStack() as stack:
        variables = stack.enter_context(pytest.MonkeyPatch.context())
        variables.setenv("VIDEOJUDGE_FRAMES", str(tmp_path_factory.getbasetemp() / "frames"))
        yield Bench(request.param, judge, logs, figures, stack)
