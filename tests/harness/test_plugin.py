"""The entry point: light, never raising, and a hook that adds our folder and takes nothing away."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import HostChangedError
from videojudge_bench.harness import plugin

# As much of the host as the hook touches; test_host_contract.py holds it against the real one.
HOST = """\
class TaskManager:
    def __init__(self, include_path=None, include_defaults=True):
        self.index = self.initialize_tasks(
            include_path=include_path, include_defaults=include_defaults
        )

    def initialize_tasks(self, include_path=None, include_defaults=True):
        return {"paths": include_path, "defaults": include_defaults}
"""
OURS = [str(folder) for folder in plugin.task_folders()]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an importable module, not imported yet, that stands for `lmms_eval.tasks`."""
    name = "tasks_of_some_host"
    (tmp_path / f"{name}.py").write_text(HOST, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugin, "HOST_TASKS", name)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delenv(plugin.SWITCH_OFF, raising=False)
    yield name
    sys.modules.pop(name, None)


def index_of(module: ModuleType, *arguments: object) -> dict[str, object]:
    index: dict[str, object] = module.TaskManager(*arguments).index
    return index


def test_our_folder_is_added_when_the_host_is_imported_later(host: str) -> None:
    plugin.install_task_hook()
    assert host not in sys.modules
    assert index_of(importlib.import_module(host)) == {"paths": OURS, "defaults": True}


def test_our_folder_is_added_when_the_host_is_there_already(host: str) -> None:
    module = importlib.import_module(host)
    plugin.install_task_hook()
    assert index_of(module) == {"paths": OURS, "defaults": True}


def test_installing_twice_changes_nothing(host: str) -> None:
    before = len(sys.meta_path)
    plugin.install_task_hook()
    plugin.install_task_hook()
    assert len(sys.meta_path) == before + 1
    module = importlib.import_module(host)
    plugin.install_task_hook()
    plugin.install_task_hook()
    assert index_of(module) == {"paths": OURS, "defaults": True}


def test_the_finder_leaves_when_its_work_is_done(host: str) -> None:
    before = list(sys.meta_path)
    plugin.install_task_hook()
    importlib.import_module(host)
    assert sys.meta_path == before


@pytest.mark.parametrize("given", ["/elsewhere", ["/elsewhere"]])
def test_the_users_own_paths_come_first(host: str, given: str | Sequence[str]) -> None:
    module = importlib.import_module(host)
    plugin.install_task_hook()
    assert index_of(module, given)["paths"] == ["/elsewhere", *OURS]


def test_our_folder_is_not_walked_twice(host: str) -> None:
    module = importlib.import_module(host)
    plugin.install_task_hook()
    assert index_of(module, OURS[0])["paths"] == OURS


def test_the_hosts_own_tasks_stay_unless_only_ours_are_wanted(host: str) -> None:
    module = importlib.import_module(host)
    plugin.add_our_tasks(module, ours_only=True)
    assert index_of(module) == {"paths": OURS, "defaults": False}
    plugin.add_our_tasks(module)
    assert index_of(module) == {"paths": OURS, "defaults": True}
    assert index_of(module, None, False) == {"paths": OURS, "defaults": False}


def test_the_switch_turns_the_hook_off(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugin.SWITCH_OFF, "1")
    before = list(sys.meta_path)
    plugin.install_task_hook()
    assert sys.meta_path == before
    assert index_of(importlib.import_module(host))["paths"] is None


def test_a_host_that_changed_is_named() -> None:
    with pytest.raises(HostChangedError, match=r"initialize_tasks is gone.*include_path"):
        plugin.add_our_tasks(ModuleType("lmms_eval.tasks"))


def test_a_host_that_changed_only_loses_our_tasks(
    host: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, host, ModuleType(host))
    with caplog.at_level(logging.ERROR):
        (manifest,) = plugin.manifests()
    assert manifest.model_id == "videojudge"
    assert '--include_path "$(videojudge tasks-path)" still works' in caplog.text


def test_a_host_that_changed_can_still_be_imported(
    host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"{host}.py").write_text("class TaskManager: pass\n", encoding="utf-8")
    plugin.install_task_hook()
    importlib.import_module(host)
    assert "initialize_tasks is gone" in caplog.text


def test_the_manifest_names_our_chat_model(host: str) -> None:
    (manifest,) = plugin.manifests()
    assert (manifest.model_id, manifest.simple_class_path) == ("videojudge", None)
    assert manifest.chat_class_path == "videojudge_bench.harness.model.VideoJudge"
    assert host not in sys.modules


def test_every_gold_set_has_a_task() -> None:
    tasks = {goldsets.info(name).task for name in goldsets.names()}
    assert set(plugin.our_task_names()) == {*tasks, "videojudge"}


def test_no_group_matches_the_wildcard() -> None:
    """The wildcard `videojudge_*` would run the members of such a group twice."""
    tasks = {goldsets.info(name).task for name in goldsets.names()}
    groups = set(plugin.our_task_names()) - tasks
    assert not [group for group in groups if group.startswith("videojudge_")]


def test_the_entry_point_imports_nothing_heavy() -> None:
    program = (
        "import sys, videojudge_bench.harness.plugin as plugin; plugin.our_task_names(); "
        "print(sorted({'torch', 'transformers', 'lmms_eval', 'numpy'} & sys.modules.keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
