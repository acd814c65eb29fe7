"""A judge as the reward of reinforcement learning: for TRL, verl and ms-swift.

A judge in this process is `compact`; one behind `videojudge serve` is `remote,url=…`. Rewards are
from 0 to 1. Names of dataset columns are those of the rows of `videojudge judge` (`video_id`,
`instruction`, `references`, `description`), unless `columns` says otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, cast

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.registry import make
from videojudge_bench.serving.reward_rows import Row, reward_row
from videojudge_bench.serving.rewarder import TRUNCATED, UNPARSED, Reward, Rewarder, RewardOptions

if TYPE_CHECKING:
    from swift.rewards import AsyncORM

__all__ = ["compute_score", "compute_score_async", "reward_function", "swift_reward"]

logger = logging.getLogger(__name__)

RewardFunction = Callable[..., list[float | None]]
_NO_COLUMNS: Mapping[str, str] = {}


def reward_function(
    judge: str,
    *,
    columns: Mapping[str, str] = _NO_COLUMNS,
    end_tokens: Collection[int] = (),
    **options: Scalar,
) -> RewardFunction:
    """Return a function for the `reward_funcs` of TRL's GRPOTrainer.

    A completion without a verdict, or cut off, gets None: TRL leaves this function out of the sum
    of its row. The shares of both and the mean score are logged as `judge/…`.

    Args:
        judge: `NAME[,option=value…]`.
        columns: dataset columns by the name of our field, such as {"references": "solution"}.
        end_tokens: of the tokenizer; a completion that ends with another is cut off. TRL does not
            say it otherwise: without them every completion counts as whole, with a warning.
        options: those of `RewardOptions`.

    Raises:
        ConfigError: the judge or an option cannot work.
    """
    rewarder, ends = _build_rewarder(judge, options), frozenset(end_tokens)
    if not ends:
        logger.warning(
            "judge %s: without end_tokens=[tokenizer.eos_token_id] completions that are cut off "
            "are judged as if they were whole", rewarder.name,
        )  # fmt: skip

    def judge_reward(
        *,
        prompts: Sequence[object],
        completions: Sequence[object],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **dataset: object,
    ) -> list[float | None]:
        tokens = completion_ids if ends and completion_ids is not None else [()] * len(prompts)
        rows = [
            reward_row(
                dataset, columns, k, prompt, completion,
                truncated=bool(ids) and ids[-1] not in ends,
            )
            for k, (prompt, completion, ids) in enumerate(
                zip(prompts, completions, tokens, strict=True)
            )
        ]  # fmt: skip
        rewards = rewarder.rewards(rows)
        if log_metric is not None:
            for name, value in _figures(rewards):
                log_metric(name, value)
        return [reward.value for reward in rewards]

    judge_reward.__name__ = f"judge_{rewarder.name}"
    return judge_reward


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: object,
    extra_info: Mapping[str, object] | None = None,
    **options: Scalar,
) -> dict[str, float]:
    """Return the reward of one answer to verl's reward managers.

    Name it by `reward.custom_reward_function.path=pkg://videojudge_bench.serving.rewards`; the
    options are `reward_kwargs`.

    Args:
        data_source: not used.
        solution_str: the answer.
        ground_truth: a reference, a list of them, or None.
        extra_info: `instruction` (or `question`) and `video_id`; verl hands over neither prompt nor
            video. Optional: `references`, `description`, and `truncated`, which verl does not say:
            `serving.verl_manager` does.
        options: those of `RewardOptions`; `unparsed` is required, since verl takes no None.

    Returns:
        `score` from 0 to 1; `unparsed` and `truncated`, 1 where it is a declared value.

    Raises:
        ConfigError: the judge or an option cannot work, or there is no instruction.
    """
    row = _verl_row(solution_str, ground_truth, extra_info or {})
    return _verl_result(_verl_rewarder(**options).rewards([row])[0])


async def compute_score_async(
    data_source: str,
    solution_str: str,
    ground_truth: object,
    extra_info: Mapping[str, object] | None = None,
    **options: Scalar,
) -> dict[str, float]:
    """Return the reward as `compute_score`; answers that wait together are judged together."""
    row = _verl_row(solution_str, ground_truth, extra_info or {})
    rewarder = await asyncio.to_thread(lambda: _verl_rewarder(**options))
    return _verl_result((await rewarder.rewards_async([row]))[0])


def swift_reward(
    judge: str, *, columns: Mapping[str, str] = _NO_COLUMNS, **options: Scalar
) -> type[AsyncORM]:
    """Return a class of rewards for ms-swift.

    A plug-in file has `orms["videojudge"] = swift_reward("remote,url=…")`.
    A completion without a verdict, or cut off (`is_truncated`), gets None, which ms-swift leaves
    out. The instruction is the last message of the user, the video the first of `videos`.

    Args:
        judge: `NAME[,option=value…]`.
        columns: as for `reward_function`.
        options: those of `RewardOptions`.
    """
    from swift.rewards import AsyncORM

    class JudgeReward(AsyncORM):  # type: ignore[misc,unused-ignore] # untyped where not installed
        """The reward of a judge."""

        async def __call__(
            self, completions: Sequence[str], **kwargs: object
        ) -> list[float | None]:
            rewarder = await asyncio.to_thread(_rewarder, judge, tuple(sorted(options.items())))
            messages, cut = kwargs.get("messages"), kwargs.get("is_truncated")
            rows = [
                reward_row(
                    kwargs, columns, k,
                    messages[k] if isinstance(messages, Sequence) else "",
                    completion,
                    truncated=bool(isinstance(cut, Sequence) and cut[k]),
                )
                for k, completion in enumerate(completions)
            ]  # fmt: skip
            rewards = await rewarder.rewards_async(rows)
            logger.info("%s", dict(_figures(rewards)))
            return [reward.value for reward in rewards]

    return JudgeReward


def _figures(rewards: Sequence[Reward]) -> Iterator[tuple[str, float]]:
    """Shares of what has no verdict, and the mean score of what has one."""
    outcomes = [reward.outcome for reward in rewards]
    for outcome in (UNPARSED, TRUNCATED):
        yield f"judge/{outcome}", outcomes.count(outcome) / max(len(outcomes), 1)
    scores = [reward.score for reward in rewards if reward.score is not None]
    if scores:
        yield "judge/score", sum(scores) / len(scores)


@cache
def _rewarder(judge: str, options: tuple[tuple[str, Scalar], ...]) -> Rewarder:
    return _build_rewarder(judge, dict(options))


def _build_rewarder(judge: str, options: Mapping[str, Scalar]) -> Rewarder:
    checked = make("reward", RewardOptions, {"judge": judge, **options})
    return Rewarder(cast(RewardOptions, checked))


def _verl_rewarder(judge: Scalar = None, **options: Scalar) -> Rewarder:
    if not isinstance(judge, str) or options.get("unparsed") is None:
        raise ConfigError(
            "expected reward_kwargs with judge=NAME and unparsed=NUMBER, the reward of an answer "
            f"without a verdict, since verl takes no None; got judge={judge!r}, {options!r}"
        )
    if options.get("against") == "group":
        raise ConfigError(
            "against=group: expected all completions of a prompt together, and verl gives one at a "
            "time; use against=reference"
        )
    options.setdefault("truncated", options["unparsed"])
    return _rewarder(judge, tuple(sorted(options.items())))


def _verl_row(solution: str, ground_truth: object, extra: Mapping[str, object]) -> Row:
    fields = {name: [value] for name, value in extra.items() if value is not None}
    fields.setdefault("references", [ground_truth])
    question = extra.get("question")
    return reward_row(fields, {}, 0, question, solution, truncated=bool(extra.get("truncated")))


def _verl_result(reward: Reward) -> dict[str, float]:
    assert reward.value is not None  # verl's options declare a value for every outcome
    return {
        "score": reward.value,
        UNPARSED: float(reward.outcome == UNPARSED),
        TRUNCATED: float(reward.outcome == TRUNCATED),
    }
