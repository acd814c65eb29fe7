"""A small policy of the small world: a language model that reads facts and writes answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from videojudge_bench.training.experiments.over_optimisation import EVERY_WORD, LONGEST
from videojudge_bench.training.small_world.language import file_of
from videojudge_bench.training.small_world.loop import WORLD
from videojudge_bench.training.small_world.world import (
    INSTRUCTIONS,
    KINDS,
    SLOTS,
    VALUES,
    Kind,
    Part,
    answer,
    drawn_wrong,
    rng_of,
    scene_of,
    text_of,
    video_id,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

PAD, END = "<pad>", "<end>"
PAD_TOKEN, END_TOKEN = 0, 1
MOST_TOKENS = LONGEST + 1  # of an answer, its end included

_BATCH = 64

Row = Mapping[str, str]
"""A question, as the trainer's data set has it."""


@dataclass(frozen=True)
class Start:
    """Input of a policy, and its answers before it is optimised.

    Attributes:
        free: share of the answers that are one to eight words of all kinds; the others are four
            words of the kind that is asked for, each of them right in half of the answers.
        sees: it reads what is true of the video, and not the kind of the question alone.
    """

    free: float = 0.0
    sees: bool = True

    def rows(self, part: Part, videos: int) -> list[Row]:
        """Return the questions about the first videos of a part."""
        scenes = [scene_of(video_id(part, number), WORLD.seed) for number in range(videos)]
        return [
            {
                "prompt": " ".join([answer(scene, k) for k in KINDS if self.sees] + [kind]),
                "video_id": scene.video_id,
                "video": file_of(scene.video_id),
                "instruction": INSTRUCTIONS[kind],
                "kind": kind,
            }
            for scene in scenes
            for kind in KINDS
        ]

    def draw(self, row: Row) -> str:
        """Return an answer to a question, drawn."""
        scene, kind = scene_of(row["video_id"], WORLD.seed), cast("Kind", row["kind"])
        rng = rng_of("taught", scene.seed, scene.video_id, kind)
        if rng.random() < self.free:
            return " ".join(rng.choice(EVERY_WORD, size=rng.integers(1, LONGEST + 1)))
        wrong = int(rng.binomial(SLOTS, 0.5))
        return text_of(kind, drawn_wrong(scene.words[kind], len(VALUES[kind]), wrong, rng))


@dataclass(frozen=True)
class Policy:
    """A language model and its words."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast


def build_policy(seed: int) -> Policy:
    """Return a Llama of two layers and random weights whose tokens are the words of the world."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = [PAD, END, *KINDS, *EVERY_WORD]
    plain = Tokenizer(WordLevel({word: token for token, word in enumerate(words)}, PAD))
    plain.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call,unused-ignore]
        tokenizer_object=plain, pad_token=PAD, eos_token=END, padding_side="right"
    )
    torch.manual_seed(seed)
    config = LlamaConfig(  # type: ignore[call-arg,unused-ignore] # rope_theta, before and after 5
        vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=64, rope_theta=100.0,
        initializer_range=0.1, pad_token_id=PAD_TOKEN, bos_token_id=None, eos_token_id=END_TOKEN,
    )  # fmt: skip
    return Policy(LlamaForCausalLM(config), tokenizer)


@cache
def taught(start: Start, lessons: int, seed: int) -> Policy:
    """Return a policy that has learnt what it answers at the start, from batches of questions."""
    import torch

    policy = build_policy(seed)
    optimiser = torch.optim.AdamW(policy.model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, lessons)
    rows = start.rows("train", lessons * _BATCH // len(KINDS))
    for first in range(0, len(rows), _BATCH):
        batch = rows[first : first + _BATCH]
        texts = [f"{row['prompt']} {start.draw(row)} {END}" for row in batch]
        ids = policy.tokenizer(texts, padding=True, return_tensors="pt")["input_ids"]
        labels = ids.masked_fill(ids == PAD_TOKEN, -100)
        labels[:, : len(batch[0]["prompt"].split())] = -100
        policy.model(ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    return policy


def sampled(policy: Policy, prompts: Sequence[str], seed: int) -> tuple[torch.Tensor, int]:
    """Return token ids of prompts of one length with an answer each, and that length."""
    import torch

    ids = policy.tokenizer(list(prompts), return_tensors="pt")["input_ids"]
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        drawn = policy.model.generate(  # type: ignore[operator,unused-ignore]
            ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0,
            max_new_tokens=MOST_TOKENS,
        )  # fmt: skip
    return drawn, ids.shape[1]


def log_p(model: PreTrainedModel, ids: torch.Tensor, start: int) -> torch.Tensor:
    """Return the log-probability of each answer from `start` on, its end included."""
    import torch

    answers = ids[:, start:]
    with torch.no_grad():
        logs = model(ids).logits[:, start - 1 : -1].log_softmax(-1)
    of_tokens = logs.gather(-1, answers[..., None])[..., 0]
    total: torch.Tensor = (of_tokens * (answers != PAD_TOKEN)).sum(-1)
    return total
