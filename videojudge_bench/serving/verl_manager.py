"""Reward manager of verl that tells its reward function which answers were cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

if TYPE_CHECKING:
    from verl import DataProto


class WholeAnswersManager(NaiveRewardManager):  # type: ignore[misc,unused-ignore] # untyped
    """verl's naive manager, with `truncated` in `extra_info`.

    An answer is cut off when it fills the length of responses and does not end with the tokenizer's
    end of sequence. Name the class by `reward.reward_manager.source=importlib`.
    """

    async def run_single(self, data: DataProto) -> dict[str, object]:
        """Return the reward of one answer, as verl's manager does."""
        batch, texts = data.batch, data.non_tensor_batch
        responses = batch["responses"][-1]
        is_full = bool(batch["attention_mask"][-1][-len(responses) :].all())
        truncated = is_full and int(responses[-1]) != self.tokenizer.eos_token_id
        # Rollouts of one prompt share the dictionary.
        texts["extra_info"][-1] = {**texts["extra_info"][-1], "truncated": truncated}
        result: dict[str, object] = await super().run_single(data)
        return result
