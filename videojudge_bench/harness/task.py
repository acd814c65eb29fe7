"""The lmms-eval task behind every YAML of `tasks/`, which names the gold set to serve.

The host fixes much of its form (see CONTRIBUTING): documents are a sequence with `features`; each
metric is an item list and an aggregation; `process_results` runs in threads and must not raise.
All numbers of a task are computed once, from the judgements that the first metric collects, so the
other metrics carry no payload and appear on the first document alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Union

from lmms_eval.api.task import ConfigurableMessagesTask, ConfigurableTask
from loguru import logger

from videojudge_bench import goldsets, metrics
from videojudge_bench.errors import NoDataError
from videojudge_bench.goldsets.view import ItemView
from videojudge_bench.harness import ending, scoring
from videojudge_bench.harness.documents import Document, Documents, stock_view
from videojudge_bench.items import Item
from videojudge_bench.prompts import PROMPTS_FOLDER, RenderedPrompt, load_prompt

SPLIT = "test"
VERSION = 1
MAX_REPLY_TOKENS = 1024

Content = dict[str, str]
Message = dict[str, Union[str, list[Content]]]


class GoldSetTask(ConfigurableMessagesTask):  # type: ignore[misc]
    """Serves one gold set to any model of lmms-eval."""

    def __init__(self, config: dict[str, object]) -> None:
        name = str(config["gold_set"])
        self.info = goldsets.info(name)
        self._card: metrics.ScoreCard | None = None
        # Functions, not methods: the host deep-copies its config for every report, and a method
        # would take the task and its documents along.
        super().__init__(
            config={
                "task": config["task"],
                "dataset_path": self.info.task,
                "test_split": SPLIT,
                "output_type": "generate_until",
                "generation_kwargs": {
                    "until": [],  # the host's default would cut a reply at its first blank line
                    "max_new_tokens": MAX_REPLY_TOKENS,
                    "temperature": 0,
                    "do_sample": False,
                },
                "doc_to_text": _plain(self._text),
                "doc_to_target": _plain(self._target),
                "doc_to_visual": _plain(self._visual),
                "doc_to_messages": _plain(self._messages),
                "process_results": _plain(self._process),
                "metric_list": [],
                "metadata": {"version": VERSION},
            }
        )
        keys = metrics.all_keys(self.info)
        self._metric_keys = [key for key in keys if key != scoring.COUNT_KEY]
        self._aggregation_list: dict[str, Callable[..., float | int | str]] = {
            scoring.JUDGEMENT_KEY: self._collect,
            **{key: self._reader(key) for key in keys},
        }
        self._higher_is_better = {key: metrics.higher_is_better(key) for key in keys}

    def download(self, dataset_kwargs: dict[str, object] | None = None) -> None:
        """Load the gold set; nothing is downloaded."""
        try:
            gold_set = goldsets.load(self.info.name)
            self.info = gold_set.info  # a sample is another thing than the full set
            documents = Documents(self.info, gold_set)
        except NoDataError as error:
            documents = Documents(self.info, None, error.how_to_get)
        self.documents = documents
        self.dataset = self.dataset_no_image = {SPLIT: documents}

    def construct_requests(self, doc_id: int, ctx: str, **kwargs: object) -> object:
        """Return the request for one document, in the form that the model's kind expects."""
        if self._serves_simple_model:
            return ConfigurableTask.construct_requests(self, doc_id, ctx, **kwargs)
        return super().construct_requests(doc_id, ctx, **kwargs)

    @cached_property
    def _serves_simple_model(self) -> bool:
        # A task made from a class is not given the kind of its model; the command line has it.
        arguments = getattr(self, "args", None)
        if arguments is None or not isinstance(arguments.model, str):
            return False
        from lmms_eval.models import MODEL_REGISTRY_V2

        host_model = MODEL_REGISTRY_V2.resolve(arguments.model, bool(arguments.force_simple))
        return bool(host_model.model_type == "simple")

    @cached_property
    def _stock_view(self) -> ItemView:
        assert self.documents.gold_set is not None
        return stock_view(self.documents.gold_set)

    @property
    def _n_references(self) -> int:
        if self.documents.run is not None:
            return self.documents.run.view.references
        return self._stock_view.references if self.documents.gold_set is not None else 0

    def _prompt(self, doc: Document) -> RenderedPrompt:
        item = self._stock_view.item(str(doc["id"]))
        name = "rate.jinja" if isinstance(item, Item) else "prefer.jinja"
        return load_prompt(PROMPTS_FOLDER / name).render(item, self.info.scale)

    def _text(self, doc: Document) -> str:
        if self.documents.gold_set is None:
            return f"{self.info.task} has no data here: {self.documents.problem}"
        prompt = self._prompt(doc)
        return f"{prompt.system}\n\n{prompt.shared}{prompt.response}"

    def _target(self, doc: Document) -> str:
        if self.documents.gold_set is None:
            return ""
        return str(self.documents.gold_set.by_id[str(doc["id"])].gold)

    def _visual(self, doc: Document) -> list[str]:
        return [] if (video := self._video(doc)) is None else [str(video)]

    def _messages(self, doc: Document) -> list[Message]:
        if self.documents.gold_set is None:
            return [{"role": "user", "content": [{"type": "text", "text": self._text(doc)}]}]
        prompt, video = self._prompt(doc), self._video(doc)
        content: list[Content] = [{"type": "video", "url": str(video)}] if video else []
        content.append({"type": "text", "text": prompt.shared + prompt.response})
        system: Message = {"role": "system", "content": [{"type": "text", "text": prompt.system}]}
        return [system, {"role": "user", "content": content}]

    def _video(self, doc: Document) -> Path | None:
        if self.documents.gold_set is None:
            return None
        return self._stock_view.item(str(doc["id"])).video

    def _process(self, doc: Document, results: Sequence[str]) -> dict[str, object]:
        record = scoring.read_result(self.documents, str(doc["id"]), results[0], self._n_references)
        payload: dict[str, object] = {scoring.JUDGEMENT_KEY: record}
        if doc["index"] == self.instances[0].doc_id:
            payload.update(dict.fromkeys(self._metric_keys))
        # The host takes the length of its last list for the number of samples.
        payload[scoring.COUNT_KEY] = None
        return payload

    def _collect(self, records: Sequence[scoring.Record]) -> int:
        """Compute all numbers of the task; return the number of judgements."""
        self._card = scoring.card_of(self.documents, records)
        lines = scoring.report_lines(self.documents, self._card)
        for line in lines:
            logger.info(line)
        run = self.documents.run
        journal = None if run is None or run.refusal is not None else run.folder
        ending.finished.append(ending.Finished(lines[0], journal))
        return len(records)

    def _reader(self, key: str) -> Callable[[Sequence[None]], float | int | str]:
        def read(_: Sequence[None]) -> float | int | str:
            assert self._card is not None, "the judgements are collected before the metrics"
            return self._card.flat()[key]

        return read


def _plain(method: Callable[..., object]) -> Callable[..., object]:
    """Wrap a method into a function: see `GoldSetTask.__init__`."""

    def function(*arguments: object) -> object:
        return method(*arguments)

    return function
