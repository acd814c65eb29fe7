"""Tokens of a row: the prompt that the model reads, and the reply that it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.engine import Continuation, Prefix, PromptGroup
from videojudge_bench.training.training_row import TrainingRow

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._prompt_inputs import PromptReader


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as tokens, its video apart.

    Attributes:
        begins: text of the prompt up to its end, from which the video's part is made.
        prompt: tokens of the prompt behind the video.
        reply: tokens to learn, the one that ends the reply included.
        weights: of each of them in the loss; their mean is 1.
        answer: token of the right answer by place in the prompt, to learn once the response's
            token there is read.
        answer_weight: of each of them in the loss.
    """

    row: TrainingRow
    begins: str
    prompt: tuple[int, ...]
    reply: tuple[int, ...]
    weights: tuple[float, ...]
    verdict: tuple[int, ...]
    answer: Mapping[int, int] = field(default_factory=dict)
    answer_weight: float = 0.0

    @property
    def tokens(self) -> int:
        """Number of tokens behind the video."""
        return len(self.prompt) + len(self.reply)


class RowEncoder:
    """Makes tokens of rows as the trained judge will be prompted, with the reader that judges use.

    In the loss, tokens of the verdict weigh `verdict_weight` and others 1; the right answer's
    tokens, in the places of a response's, weigh `answer_weight`.
    """

    def __init__(
        self, reader: PromptReader, *, verdict_weight: float = 1.0, answer_weight: float = 0.0
    ) -> None:
        self._reader, self._weight, self._answer = reader, verdict_weight, answer_weight

    def encode(self, row: TrainingRow) -> Encoded:
        """Return the tokens of a row."""
        asked = PromptGroup(
            Prefix(row.system, "", Path(row.video or row.video_id)),
            (Continuation(row.id, row.user),),
        )
        begins = self._reader.rendered(asked, 0, True)
        behind, prompt = self._reader.text_behind_video(begins), self._reader.behind_video(begins)
        text, reply = self._reader.reply_tokens(asked, begins, row.reply)
        verdict = self._verdict_tokens(text, row, len(reply))
        raw = [self._weight if n in verdict else 1.0 for n in range(len(reply))]
        mean = sum(raw) / len(raw)
        return Encoded(
            row,
            begins,
            prompt,
            tuple(reply),
            tuple(weight / mean for weight in raw),
            verdict,
            self._answer_tokens(behind, row, len(prompt)) if self._answer else {},
            self._answer,
        )

    def _answer_tokens(self, text: str, row: TrainingRow, tokens: int) -> dict[int, int]:
        """The right answer's tokens by place behind the video, where a response has as many."""
        labels: dict[int, int] = {}
        end = len(text)
        for response in reversed(row.responses if row.gold else ()):  # as they stand in a prompt
            at = text.rfind(response.text, 0, end)
            if at < 0:  # a special token in it was broken up
                continue
            behind = at + len(response.text)
            right = self._reader.behind_video(f"{text[:at]}{row.gold}{text[behind:]}")
            if len(right) == tokens:
                labels |= {place: right[place] for place in self._places(text, at, behind)}
            end = at
        return labels

    def _places(self, text: str, begin: int, end: int) -> tuple[int, ...]:
        """Return the tokens of a text that hold some of its characters."""
        offsets = self._reader.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True
        )["offset_mapping"]
        return tuple(n for n, (a, b) in enumerate(offsets) if a < end and b > begin)

    def _verdict_tokens(self, text: str, row: TrainingRow, length: int) -> tuple[int, ...]:
        """Indices of the reply tokens in its last tag, or in the slots of its criteria.

        One may hold the tag's end too (`>A`).
        """
        slots = [(f'name="{name}">', str(value)) for name, value in row.criteria.items()]
        places: set[int] = set()
        for before, verdict in slots or ([] if row.verdict is None else [(">", row.verdict)]):
            at = text.rfind(f"{before}{verdict}<")
            begin = at + len(before)
            places |= set(self._places(text, begin, begin + len(verdict)) if at >= 0 else ())
        return tuple(n for n in sorted(places) if n < length)


def groups(rows: Sequence[Encoded]) -> list[list[int]]:
    """Return which rows answer the same instruction, in the order of their first ones."""
    by_instruction: dict[str, list[int]] = {}
    for number, encoded in enumerate(rows):
        row = encoded.row
        by_instruction.setdefault(f"{row.kind}\x1f{row.instruction or row.id}", []).append(number)
    return list(by_instruction.values())
