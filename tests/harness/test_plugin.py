"""The entry point: light, never raising, and a hook that adds our folder and takes nothing away."""

from __future__ import annotations

import importlib
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from videojudge_bench import goldsets
from videojudge_bench.errors import HostChangedError
from videojudge_bench.goldsets import schema, store
from videojudge_bench.goldsets.base import GoldSetInfo
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


# The sets of others.


def add(name: str) -> None:
    """A set in the store of this test."""
    info = GoldSetInfo(name, name, "human", "ratings", "CC0-1.0", "the tests", "it is made here")
    row = schema.RatingRow(video_id="v", instruction="do", response="x", ratings=(3.0,))
    store.write(info, [row], None)


def config_of(path: Path) -> dict[str, str]:
    class Loader(yaml.SafeLoader):
        """Reads the name of a function as a text."""

    Loader.add_constructor("!function", lambda loader, node: node.value)
    config: dict[str, str] = yaml.load(path.read_text(encoding="utf-8"), Loader)
    return config


def test_a_task_file_is_written_for_every_set_of_others(tmp_path: Path) -> None:
    assert plugin.write_extra_tasks(tmp_path) == []
    add("mine")
    add("another_1")
    written = plugin.write_extra_tasks(tmp_path)
    assert [path.name for path in written] == ["videojudge_another_1.yaml", "videojudge_mine.yaml"]
    assert sorted(tmp_path.glob("*.yaml")) == written
    # The oracle is the task file of a set of ours: but for the names they are the same.
    (ours,) = (folder / "videojudge_vatex.yaml" for folder in plugin.task_folders())
    for path, name in zip(written, ("another_1", "mine"), strict=True):
        wanted = {**config_of(ours), "task": f"videojudge_{name}", "gold_set": name}
        assert config_of(path) == wanted
    assert {"videojudge_another_1", "videojudge_mine"} < set(plugin.our_task_names())


@pytest.mark.parametrize("name", ["Evil", "a: !function os.abort", "a b", "vatex", "videojudge"])
def test_only_sets_of_others_with_a_name_get_a_task_file(tmp_path: Path, name: str) -> None:
    """What is no name of a set is no name of a task, and a set of ours has its task file."""
    add("mine")
    shutil.copytree(store.root() / "mine", store.root() / name)
    written = [path.name for path in plugin.write_extra_tasks(tmp_path)]
    others = ["videojudge_videojudge.yaml"] if name == "videojudge" else []
    assert written == ["videojudge_mine.yaml", *others]


def test_a_damaged_set_has_a_task_that_can_say_so(tmp_path: Path) -> None:
    add("mine")
    (store.root() / "mine" / "set.json").write_text("title: !function os.abort", encoding="utf-8")
    (path,) = plugin.write_extra_tasks(tmp_path)
    assert config_of(path)["gold_set"] == "mine"


@pytest.fixture
def no_task_files_yet() -> None:
    """The folder is one of the process, and may hold files of another test."""
    plugin._extra_folder().cleanup()
    plugin._extra_folder.cache_clear()


@pytest.mark.usefixtures("no_task_files_yet")
def test_the_hook_adds_the_sets_of_others(host: str) -> None:
    module = importlib.import_module(host)
    plugin.install_task_hook()
    assert index_of(module)["paths"] == OURS
    add("mine")
    paths = index_of(module)["paths"]
    assert isinstance(paths, list)
    *ours, extra = paths
    assert ours == OURS
    assert [path.name for path in Path(extra).iterdir()] == ["videojudge_mine.yaml"]
    assert index_of(module, "/elsewhere")["paths"] == ["/elsewhere", *OURS, extra]


def test_the_folder_of_their_task_files_is_gone_at_the_end(tmp_path: Path) -> None:
    add("mine")
    program = (
        "import videojudge_bench.harness.plugin as plugin, pathlib; "
        "folder = pathlib.Path(plugin._extra_folder().name); plugin.write_extra_tasks(folder); "
        "print(folder, len(list(folder.iterdir())), oct(folder.stat().st_mode & 0o777))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    folder, count, mode = ended.stdout.split()
    assert (count, mode) == ("1", "0o700")
    assert not Path(folder).exists()


def test_the_entry_point_imports_nothing_heavy() -> None:
    program = (
        "import sys, videojudge_bench.harness.plugin as plugin; plugin.our_task_names(); "
        "print(sorted({'torch', 'transformers', 'lmms_eval', 'numpy'} & sys.modules.keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
