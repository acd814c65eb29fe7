"""A policy trained by GRPO against a judge in the small world: the reward, and the truth beside it.

The policy reads what is true of a video, in words, and writes an answer; TRL's GRPOTrainer trains
it, and its reward is what the judge makes of the answer and the video. It can be honest, so what it
does instead is what the judge rewards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import numpy as np

from videojudge_bench._util.charts import Axis
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.metrics.bootstrap import Floats
from videojudge_bench.serving.rewards import RewardFunction, reward_function
from videojudge_bench.training.experiments.experiment import Figures
from videojudge_bench.training.experiments.over_optimisation import (
    JUDGE,
    TRUTH,
    VIDEOS,
    curve_chart,
    curve_table,
    deserved,
    summary,
)
from videojudge_bench.training.experiments.policy import (
    END_TOKEN,
    MOST_TOKENS,
    PAD_TOKEN,
    Policy,
    Row,
    Start,
    log_p,
    sampled,
    taught,
)
from videojudge_bench.training.experiments.world_measures import Number
from videojudge_bench.training.small_world.loop import WORLD, LoopFolder
from videojudge_bench.training.small_world.world import BEST, Kind, read_answer, scene_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainerState

DISTANCE, WORDS = "distance, nats", "words"
CURVES = (JUDGE, TRUTH, DISTANCE, WORDS)


@dataclass(frozen=True)
class Arm:
    """Start and reward of a policy.

    Attributes:
        start: what it reads and answers before.
        form: an answer that is not four words of the kind asked for gets the lowest reward.
        exact: the truth rewards it in place of the judge.
    """

    start: Start = field(default_factory=Start)
    form: bool = False
    exact: bool = False


ARMS: Mapping[str, Arm] = {
    "words": Arm(),
    "free": Arm(Start(free=0.5)),
    "blind": Arm(Start(free=0.5, sees=False)),
    "form": Arm(Start(free=0.5), form=True),
    "exact": Arm(Start(free=0.5), exact=True),
}


@dataclass(frozen=True)
class Length:
    """Length of a training, and size of its measurements.

    Attributes:
        lessons: batches that teach the policy what it answers at the start.
        marks: steps of GRPO after which the policy is measured; a step is one of two on a batch of
            `group` answers to each of four questions.
        videos: held-out ones, with `samples` answers to each of their questions.
    """

    lessons: int = 800
    marks: Sequence[int] = (5, 10, 20, 40, 80, 160, 320)
    group: int = 16
    videos: int = VIDEOS
    samples: int = 4


def check_installed() -> None:
    """Raise ConfigError where TRL is missing."""
    if find_spec("trl") is None:
        raise ConfigError("experiment grpo: expected TRL, got none; pip install 'trl>=1.16,<2'")


def figures(
    loop: LoopFolder, judge: Mapping[str, Scalar], arm: Arm, *, seed: int, length: Length = Length()
) -> Figures:
    """Return the figures of `over_optimisation.summary` for `CURVES` by step of GRPO.

    They are of held-out questions. The distance is the KL divergence of whole answers from the
    policy at the start; `words` is the length of an answer.
    """
    from transformers import LlamaForCausalLM

    name, *others = judge.items()
    spec = ",".join([str(name[1]), *(f"{option}={value}" for option, value in others)])
    reward = _reward(spec, str(loop.videos), str(loop.path / "experiments" / "grpo"))
    first = taught(arm.start, length.lessons, seed)
    rows, marks = arm.start.rows("test", length.videos), dict[str, list[Floats]]()
    with tempfile.TemporaryDirectory(prefix="videojudge-") as folder:
        first.model.save_pretrained(folder)
        # TRL loads the policy that it measures the distance from where this one comes from.
        policy = Policy(LlamaForCausalLM.from_pretrained(folder), first.tokenizer)

        def mark(step: int) -> None:
            marks[str(step)] = measured(policy, first.model, rows, reward, length.samples)

        mark(0)
        own = truth if arm.exact else in_form(reward) if arm.form else reward
        push(policy, arm.start, own, mark, length=length, seed=seed)
    curves = {
        name: {step: values[place] for step, values in marks.items()}
        for place, name in enumerate(CURVES)
    }
    return summary(curves, [row["video_id"] for row in rows])


@cache  # a journal has one writer
def _reward(judge: str, videos: str, journal: str) -> RewardFunction:
    """Return the judge's reward; what is cut off gets the lowest."""
    return reward_function(
        judge, videos=videos, journal=journal, end_tokens=(END_TOKEN,), truncated=0
    )


def truth(
    *, completions: Sequence[str], video_id: Sequence[str], kind: Sequence[str], **_: object
) -> list[float | None]:
    """Return what answers deserve as rewards from 0 to 1, as TRL asks for them."""
    rows = zip(completions, video_id, kind, strict=True)
    return [
        (deserved(scene_of(video, WORLD.seed), cast("Kind", asked), text) - 1) / (BEST - 1)
        for text, video, asked in rows
    ]


def in_form(reward: RewardFunction) -> RewardFunction:
    """Return a reward that is the lowest where an answer is not four words of its kind."""

    def reward_in_form(
        *, completions: Sequence[str], kind: Sequence[str], **others: object
    ) -> list[float | None]:
        values = reward(completions=completions, kind=kind, **others)
        rows = zip(values, kind, completions, strict=True)
        return [
            value if read_answer(cast("Kind", asked), text) else 0.0 for value, asked, text in rows
        ]

    return reward_in_form


def push(
    policy: Policy,
    start: Start,
    reward: RewardFunction,
    mark: Callable[[int], None],
    *,
    length: Length,
    seed: int,
) -> None:
    """Train a policy by GRPO; `mark` is called with the number of steps at each of the marks."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    class Marks(TrainerCallback):  # type: ignore[misc,unused-ignore] # untyped where not installed
        def on_step_end(self, args: object, state: TrainerState, *_: object, **__: object) -> None:
            if state.global_step in length.marks:
                mark(state.global_step)

    with tempfile.TemporaryDirectory(prefix="videojudge-") as folder:
        arguments = GRPOConfig(
            folder, use_cpu=True, bf16=False, seed=seed, save_strategy="no", report_to=[],
            logging_steps=20, disable_tqdm=True, max_steps=max(length.marks),
            per_device_train_batch_size=4 * length.group, num_generations=length.group,
            num_iterations=2, beta=0.01, loss_type="grpo", learning_rate=3e-4,
            lr_scheduler_type="constant", max_completion_length=MOST_TOKENS,
        )  # fmt: skip
        GRPOTrainer(
            policy.model,
            reward_funcs=[reward],
            args=arguments,
            train_dataset=Dataset.from_list(start.rows("validation", WORLD.validation)),
            processing_class=policy.tokenizer,
            callbacks=[Marks()],
        ).train()


def measured(
    policy: Policy,
    first: PreTrainedModel,
    rows: Sequence[Row],
    reward: RewardFunction,
    samples: int,
) -> list[Floats]:
    """Return for each of `CURVES` a value a question, the mean over sampled answers."""
    asked = [row for row in rows for _ in range(samples)]
    columns = {name: [row[name] for row in asked] for name in rows[0]}
    training = policy.model.training
    policy.model.train(False)
    ids, start = sampled(policy, columns["prompt"], seed=0)
    distance = (log_p(policy.model, ids, start) - log_p(first, ids, start)).numpy()
    policy.model.train(training)
    tokens = [[t for t in line if t != PAD_TOKEN] for line in ids[:, start:].tolist()]
    texts = policy.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    scores = [
        [
            1 + (BEST - 1) * (value or 0)
            for value in function(
                prompts=columns["prompt"], completions=texts, completion_ids=tokens, **columns
            )
        ]
        for function in (reward, truth)
    ]
    lengths = [len(text.split()) for text in texts]
    of_answers = np.array([*scores, distance, lengths], dtype=np.float64)
    return list(of_answers.reshape(len(CURVES), len(rows), samples).mean(-1))


def table_of(rows: Mapping[str, Figures]) -> Iterator[str]:
    """Yield the lines of a table with the curves of each arm by step."""
    yield from ("Held-out questions after so many steps of GRPO, in points of the scale 1-5:", "")
    yield from curve_table(rows, CURVES)


def chart(row: Figures) -> str:
    """Return an SVG file with the judge's score and the truth of one arm by step."""
    steps = [*cast("Mapping[str, Number]", row[TRUTH])]
    axes = Axis.named("steps of GRPO", steps), Axis.over("rating of the answers", [1.0, 5.0])
    return curve_chart(row, (JUDGE, TRUTH), axes, lambda step: steps.index(str(step)))
