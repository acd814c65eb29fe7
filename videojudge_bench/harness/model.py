"""The lmms-eval model `videojudge`: any judge, on any of our gold sets."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist
from lmms_eval.api.model import lmms
from loguru import logger

from videojudge_bench import registry
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import secret_names
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.harness import launcher
from videojudge_bench.harness.documents import Documents
from videojudge_bench.harness.scoring import seal, seal_refusal
from videojudge_bench.run.failures import MAX_FAILURES, Failures, checked_limit
from videojudge_bench.run.runner import Run, RunOptions

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance

    from videojudge_bench._util.options import Scalar
    from videojudge_bench.goldsets.view import References

HOST_BATCH_SIZE = 1
"""What lmms-eval passes when the user gave no batch size."""

T = TypeVar("T")
Replies = dict[int, str]


class VideoJudge(lmms):  # type: ignore[misc]
    """lmms-eval model that runs a judge on the tasks `videojudge_*`.

    Args:
        judge: name of a judge, or `module:Class`; `videojudge judges list` lists them.
        references: how many references an item shows: 0, 1, … or `all`. By default all for a
            judge that requires references, and none for any other.
        videos: folder with the video files, `<video id>.<extension>`.
        journal: folder for the journals; by default under the user's cache folder.
        descriptions: a file of descriptions of the videos, as `videojudge describe` writes it.
        batch_size: for the judge, if it has such an option and the user set it; so is `device`.
        max_batch_size: not used; lmms-eval passes it.
        options: the options of the judge; and `max_failures`, the share of items on which the judge
            may fail before the command ends with exit status 1, by default 0.05.

    Raises:
        ConfigError: unknown judge or options, or values that cannot work.
    """

    is_simple = False

    def __init__(
        self,
        judge: str,
        references: References | None = None,
        videos: str | None = None,
        journal: str | None = None,
        *,
        descriptions: str | None = None,
        batch_size: int | str = HOST_BATCH_SIZE,
        max_batch_size: int | None = None,
        device: str | None = None,
        **options: Scalar,
    ) -> None:
        super().__init__()
        self.device = torch.device("cpu")  # where the host's own collectives run
        if (names := secret_names(options)) and self.rank == 0:
            logger.warning(
                f"lmms-eval prints and stores its model arguments, {', '.join(names)} among them; "
                "run the command lmms_eval, which keeps them out, or set the variable "
                "OPENAI_API_KEY in place of api_key"
            )
        options = {**launcher.secrets, **options}
        self._max_failures = checked_limit(options.pop("max_failures", MAX_FAILURES))
        taken = registry.options_of(registry.judge_class(judge), options.get("engine"))
        if device is not None and "device" in taken:
            options.setdefault("device", device)
        if batch_size != HOST_BATCH_SIZE and "batch_size" in taken:
            options.setdefault("batch_size", batch_size)
        self.built = registry.build(judge, options)
        self._references = references
        # lmms-eval turns a folder called 2024 into a number.
        self._videos = Path(str(videos)) if videos else None
        self._journal = Path(str(journal)) if journal else None
        self._descriptions = Path(str(descriptions)) if descriptions else None

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Return one reply per request: the judgement of its document, as JSON."""
        doc_ids: dict[tuple[str, str], set[int]] = {}
        for request in requests:
            _, _, _, doc_id, task, split = request.args
            doc_ids.setdefault((task, split), set()).add(doc_id)
        # Gold sets and requests stay to the end: walking them at every collection would make the
        # last item of a large set dearer than the first.
        gc.freeze()
        atexit.register(gc.unfreeze)  # libraries report what is left at the end as a leak
        tasks = sorted({key for part in self._gather(list(doc_ids)) for key in part})
        replies = {key: self._replies(key, doc_ids.get(key, set())) for key in tasks}
        self.built.judge.close()
        return [replies[r.args[4], r.args[5]][r.args[3]] for r in requests]

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Raise ConfigError: judges answer in one round."""
        raise ConfigError("model videojudge answers in one round; its tasks are videojudge_*")

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Raise ConfigError: judges give no likelihoods of texts."""
        raise ConfigError("model videojudge gives no likelihoods; its tasks are videojudge_*")

    def _replies(self, key: tuple[str, str], doc_ids: set[int]) -> Replies:
        task, split = key
        documents = self.task_dict[task][split]
        if not isinstance(documents, Documents):
            raise ConfigError(
                f"model videojudge judges the tasks videojudge_* alone; {task} is none of them"
            )
        if documents.gold_set is None:
            return dict.fromkeys(doc_ids, seal_refusal(documents.problem))
        run = documents.run = Run(
            self.built,
            documents.gold_set,
            RunOptions(
                self._references, self._videos, self._journal, self.rank, self._descriptions
            ),
        )
        if run.refusal is not None:
            return dict.fromkeys(doc_ids, seal_refusal(run.refusal))
        return self._judged(run, documents, doc_ids)

    def _judged(self, run: Run, documents: Documents, doc_ids: set[int]) -> Replies:
        """Judge on all ranks, every group on one of them, and return this rank's replies.

        The host deals documents round-robin, which would split groups and compute their shared
        prompt on every rank.
        """
        everything = sorted({doc_id for ids in self._gather(doc_ids) for doc_id in ids})
        ids = {doc_id: str(documents[doc_id]["id"]) for doc_id in everything}
        videos = {i: run.gold_set.by_id[i].item.video_id for i in ids.values()}
        ranks = {i: int(unit_interval("rank", v) * self.world_size) for i, v in videos.items()}
        mine = [item_id for item_id, rank in ranks.items() if rank == int(self.rank)]
        # A rank that fails must still take part in the collectives, or the others would hang.
        outcome: dict[str, str] | str
        failures = Failures()
        try:
            judged = run.judge(mine)
            failures = Failures.of(judged.values())
            outcome = {i: seal(judgement) for i, judgement in judged.items()}
        except VideoJudgeError as error:
            if self.world_size == 1:
                raise
            outcome = str(error)
        replies: dict[str, str] = {}
        for part in self._gather(outcome):
            if isinstance(part, str):
                raise VideoJudgeError(part)
            replies.update(part)
        logger.info(f"{documents.info.task}: signature {run.signature(list(ids.values()))}")
        failures = sum(self._gather(failures), Failures())
        if failures.n:
            logger.warning(f"{documents.info.task}: {failures}")
            launcher.item_failures.append(
                launcher.ItemFailures(
                    documents.info.task, str(failures), failures.exceed(self._max_failures)
                )
            )
        return {doc_id: replies[ids[doc_id]] for doc_id in doc_ids}

    def _gather(self, value: T) -> list[T]:
        """Return the values of all ranks."""
        if self.world_size == 1:
            return [value]
        values = [value] * self.world_size
        dist.all_gather_object(values, value)
        return values
