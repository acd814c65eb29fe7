"""What we build on in lmms-eval: when one of these fails, a new version has changed it.

Each test names the module of ours that depends on the fact.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import sys
from collections.abc import Iterator
from importlib.metadata import version

import lmms_eval.__main__ as host
import pytest
from lmms_eval import tasks as host_tasks
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.api.reasoning import parse_reasoning_tags_config, strip_reasoning_tags
from lmms_eval.api.task import ConfigurableMessagesTask, ConfigurableTask
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.models.registry_v2 import ModelManifest
from lmms_eval.utils import simple_parse_args_string

from videojudge_bench import goldsets
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.harness import plugin
from videojudge_bench.harness.documents import Documents
from videojudge_bench.harness.model import VideoJudge
from videojudge_bench.harness.scoring import open_reply, seal
from videojudge_bench.harness.task import SPLIT, GoldSetTask
from videojudge_bench.items import Item
from videojudge_bench.verdicts import Judgement, Rating

TASK = "videojudge_nextqa"


@pytest.fixture(scope="module")
def manager() -> Iterator[host_tasks.TaskManager]:
    """A task manager of the host's that has read our folder alone."""
    plugin.add_our_tasks(host_tasks, ours_only=True)
    yield host_tasks.TaskManager("ERROR", model_name="videojudge")
    plugin.add_our_tasks(host_tasks)


@pytest.fixture(scope="module")
def task(manager: host_tasks.TaskManager) -> GoldSetTask:
    loaded = manager.load_task_or_group([TASK], task_type="chat")
    found = loaded[TASK]
    assert isinstance(found, GoldSetTask)
    return found


def test_the_host_has_the_version_that_we_were_written_for() -> None:
    assert version("lmms-eval").startswith("0.7.")


def test_the_task_manager_takes_paths_and_defaults() -> None:
    """`plugin._with_our_tasks` passes these two on by name."""
    method = host_tasks.TaskManager.initialize_tasks
    parameters = inspect.signature(inspect.unwrap(method)).parameters
    assert list(parameters) == ["self", "include_path", "include_defaults"]


def test_our_folder_is_indexed_and_the_wildcard_finds_each_task_once(
    manager: host_tasks.TaskManager,
) -> None:
    """No group or tag may begin with `videojudge_`: the wildcard would run its members twice."""
    assert sorted(manager.all_tasks) == sorted(plugin.our_task_names())
    tasks = [goldsets.info(name).task for name in goldsets.names()]
    assert manager.match_tasks(["videojudge_*"]) == sorted(tasks)
    assert manager.match_tasks(["videojudge"]) == ["videojudge"]


def test_a_task_made_from_a_class_gets_its_yaml(task: GoldSetTask) -> None:
    """`GoldSetTask` reads the gold set's name from the config that its constructor gets."""
    assert task.info is goldsets.info("nextqa")
    assert task.config.task == TASK
    assert len(task.eval_docs) == len(goldsets.load("nextqa").examples)


def test_chat_and_simple_models_get_these_requests(task: GoldSetTask) -> None:
    """`VideoJudge.generate_until` takes the document's number from a chat request."""
    metadata = {"task": TASK, "doc_id": 3, "repeats": 1, "split": SPLIT}
    chat = ConfigurableMessagesTask.construct_requests(task, 3, "text", metadata=metadata)
    assert isinstance(chat, Instance)
    text, doc_to_messages, decoding, doc_id, name, split = chat.args
    assert (text, doc_id, name, split) == ("text", 3, TASK, SPLIT)
    assert doc_to_messages(task.dataset[SPLIT][3])[0]["role"] == "system"
    simple = ConfigurableTask.construct_requests(task, 3, "text", metadata=metadata)
    text, same, doc_to_visual, doc_id, name, split = simple.args
    assert (text, doc_id, name, split) == ("text", 3, TASK, SPLIT)
    assert doc_to_visual(task.dataset[SPLIT][3]) == []
    assert decoding == same
    # Where `until` is missing, the host cuts replies at their first blank line.
    assert (decoding["until"], decoding["max_new_tokens"]) == ([], 1024)


def test_the_command_line_calls_the_function_that_we_watch() -> None:
    """`launcher._hook` replaces it in its module."""
    assert callable(host.cli_evaluate_single)
    assert "cli_evaluate_single" in host.cli_evaluate.__code__.co_names


def test_manifests_have_these_fields() -> None:
    """`plugin.manifests` fills two of them."""
    fields = [field.name for field in dataclasses.fields(ModelManifest)]
    assert fields == ["model_id", "simple_class_path", "chat_class_path", "aliases"]


def test_our_model_is_found_by_its_entry_point() -> None:
    assert MODEL_REGISTRY_V2.get_model_class("videojudge") is VideoJudge
    assert issubclass(VideoJudge, lmms)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("longest", "longest"),
        ("true", True),
        ("False", False),
        ("3", 3),
        ("0.5", 0.5),
        ("-1", -1.0),  # not an int
        ("1e3", 1000.0),
        ("a=b", "a=b"),
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
    ],
)
def test_model_arguments_are_read_like_this(text: str, value: object) -> None:
    """Options of judges arrive so typed; `cli._scalar` and `launcher` read them alike."""
    read = simple_parse_args_string(f"judge=x,option={text}")
    assert read == {"judge": "x", "option": value}
    assert type(read["option"]) is type(value)


def test_commas_inside_quotes_and_braces_do_not_split_model_arguments() -> None:
    text = """judge=x,a='{"b":1,"c":2}',d=3"""
    assert list(simple_parse_args_string(text)) == ["judge", "a", "d"]


def test_a_model_gets_what_the_command_line_adds() -> None:
    """`VideoJudge` takes `batch_size`, `max_batch_size` and `device` beside its own arguments."""
    added = {"batch_size": 1, "max_batch_size": None, "device": "cpu"}
    model = VideoJudge.create_from_arg_string("judge=random,seed=7", added)
    assert model.built.signature() == {"judge": "random", "seed": 7}
    assert (model.rank, model.world_size) == (0, 1)


def test_a_folder_may_be_named_like_a_number() -> None:
    """The host makes an int of it."""
    VideoJudge.create_from_arg_string("judge=random,journal=2024,videos=2024")


def test_reports_copy_the_config_and_not_our_documents(
    task: GoldSetTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host deep-copies every task's config; `GoldSetTask` keeps its documents out of it."""

    def copied(self: object, _: object) -> object:
        pytest.fail(f"a {type(self).__name__} was copied")

    for cls in (Documents, GoldSet, GoldSetTask):
        monkeypatch.setattr(cls, "__deepcopy__", copied, raising=False)
    dumped = task.dump_config()
    assert dumped["task"] == TASK
    assert copy.deepcopy(task.config).task == TASK


def test_reasoning_is_cut_from_replies_and_not_from_our_judgements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`scoring.seal` escapes `<`, or the host would cut our JSON to pieces."""
    monkeypatch.setattr(sys, "argv", ["lmms-eval"])
    _, defaults = host.parse_eval_args()
    pairs = parse_reasoning_tags_config(cli_value=defaults.reasoning_tags)
    reply = "<think>Well, <score>1</score>?</think>\n<score>4</score>"
    assert strip_reasoning_tags(reply, pairs) == "<score>4</score>"
    judgement = Judgement("v/1", Rating(4.0), reply=reply)
    sealed = seal(judgement)
    assert strip_reasoning_tags(sealed, pairs) == sealed
    item = Item("v/1", "v", "What happens?", "Nothing.")
    assert open_reply(sealed, item, goldsets.info("vatex").scale) == judgement
