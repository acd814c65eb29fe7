"""Entry point of lmms-eval: the model manifest, and hooks for our tasks and judges of answers.

lmms-eval has entry points for models, but none for tasks and for its judges of answers
(`lmms_eval.llm_judge`), so this one also makes its `TaskManager` index our folder of YAML files and
its registry of judges hold ours. The module imports nothing heavy and `manifests` never raises: an
exception would disable every other plug-in too.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from videojudge_bench.errors import HostChangedError

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

logger = logging.getLogger(__name__)

PREFIX = "videojudge"
HOST_TASKS = "lmms_eval.tasks"
HOST_JUDGES = "lmms_eval.llm_judge.factory"
SWITCH_OFF = "VIDEOJUDGE_NO_TASK_HOOK"
_HOOKED = "_videojudge_hooked"
_TASK_FILE = """\
task: videojudge_{name}
class: !function videojudge_bench.harness.task.GoldSetTask
gold_set: {name}
"""


def manifests() -> list[ModelManifest]:
    """Return the model that we add to lmms-eval, and install the hook for our tasks."""
    from lmms_eval.models.registry_v2 import ModelManifest

    for install, without in (
        (install_task_hook, 'tasks; --include_path "$(videojudge tasks-path)" still works'),
        (lambda: when_loaded(HOST_JUDGES, add_our_judges), "provider to lmms_eval.llm_judge"),
    ):
        try:
            install()
        except Exception:  # the entry-point guard: what cannot be added is missing, all else works
            logger.exception("videojudge_bench could not add its %s", without)
    model = "videojudge_bench.harness.model.VideoJudge"
    return [ModelManifest(model_id="videojudge", chat_class_path=model)]


def task_folders() -> list[Path]:
    """Return the folders with the task files of this package."""
    spec = importlib.util.find_spec("videojudge_bench.tasks")
    assert spec is not None
    return [Path(folder) for folder in spec.submodule_search_locations or ()]


def our_task_names() -> list[str]:
    """Return the names of our tasks and groups, and of the tasks of added gold sets."""
    import yaml

    from videojudge_bench import goldsets

    class Loader(yaml.SafeLoader):
        """Reads a task file without importing the functions that it names."""

    Loader.add_constructor("!function", lambda loader, node: None)
    names: list[str] = []
    for folder in task_folders():
        for path in sorted(folder.glob("*.yaml")):
            config = yaml.load(path.read_text(encoding="utf-8"), Loader)
            names.append(config["group"] if "group" in config else config["task"])
    return [*names, *(f"{PREFIX}_{name}" for name in goldsets.extra_names())]


def write_extra_tasks(folder: Path) -> list[Path]:
    """Write a task file for every gold set that is not of this package; return the files.

    Such sets come without a task file, so that no file of others can name a function for lmms-eval
    to load.
    """
    from videojudge_bench import goldsets

    for left in folder.glob("*.yaml"):
        left.unlink()  # of a set that was removed since
    written = []
    for name in goldsets.extra_names():
        path = folder / f"{PREFIX}_{name}.yaml"
        path.write_text(_TASK_FILE.format(name=name), encoding="utf-8")
        written.append(path)
    return written


@functools.cache
def _extra_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="videojudge-tasks-")


def install_task_hook() -> None:
    """Make `lmms_eval.tasks.TaskManager` index our folder too, now or when it is imported.

    The environment variable `VIDEOJUDGE_NO_TASK_HOOK` switches this off.

    Raises:
        HostChangedError: lmms-eval is loaded and has no `TaskManager.initialize_tasks`.
    """
    if os.environ.get(SWITCH_OFF):
        return
    when_loaded(HOST_TASKS, add_our_tasks)


def when_loaded(name: str, hook: Callable[[ModuleType], None]) -> None:
    """Run a hook on a module of the host, now or right after it is imported.

    A HostChangedError of the hook is raised now, and logged later.
    """
    module = sys.modules.get(name)
    if module is not None and getattr(module.__spec__, "_initializing", False):
        # It is being imported, and one of its own imports has led here.
        _hook_when_bound(name, hook)
    elif module is not None:
        hook(module)
    elif not any(isinstance(f, _HookingFinder) and f.name == name for f in sys.meta_path):
        sys.meta_path.insert(0, _HookingFinder(name, hook))


def add_our_judges(host_judges: ModuleType) -> None:
    """Register our judges in lmms-eval as the provider `videojudge`, or raise HostChangedError."""
    factory = getattr(host_judges, "ProviderFactory", None)
    if not hasattr(factory, "register_provider"):
        raise HostChangedError(
            "lmms_eval.llm_judge.factory.ProviderFactory.register_provider is gone: the provider "
            "`videojudge` is missing, all else works. This version of lmms-eval is not supported; "
            'install "lmms-eval>=0.7.3,<0.8"'
        )
    from videojudge_bench.harness import llm_judge_provider

    llm_judge_provider.register()


def add_our_tasks(host_tasks: ModuleType, *, ours_only: bool = False) -> None:
    """Wrap `TaskManager.initialize_tasks` so that it also walks our folder.

    Args:
        host_tasks: the module `lmms_eval.tasks`.
        ours_only: index no task file of the host (saves some four seconds).

    Raises:
        HostChangedError: the module has no such method.
    """
    manager = getattr(host_tasks, "TaskManager", None)
    original = getattr(manager, "initialize_tasks", None)
    if manager is None or original is None:
        raise HostChangedError(
            "lmms_eval.tasks.TaskManager.initialize_tasks is gone: this version of lmms-eval is "
            'not supported; install "lmms-eval>=0.7.3,<0.8", or use '
            '--include_path "$(videojudge tasks-path)"'
        )
    original = getattr(original, _HOOKED, original)
    manager.initialize_tasks = _with_our_tasks(original, ours_only=ours_only)


def is_hooked(manager: type) -> bool:
    """Return whether a `TaskManager` indexes our folder too."""
    return hasattr(getattr(manager, "initialize_tasks", None), _HOOKED)


def _with_our_tasks(
    original: Callable[..., dict[str, object]], *, ours_only: bool
) -> Callable[..., dict[str, object]]:
    @functools.wraps(original)
    def initialize_tasks(
        self: object,
        include_path: str | Sequence[str] | None = None,
        include_defaults: bool = True,
    ) -> dict[str, object]:
        given = [include_path] if isinstance(include_path, str) else list(include_path or ())
        ours = [str(folder) for folder in task_folders() if str(folder) not in given]
        extra = Path(_extra_folder().name)
        if write_extra_tasks(extra):
            ours.append(str(extra))
        return original(
            self,
            include_path=[*given, *ours],
            include_defaults=include_defaults and not ours_only,
        )

    setattr(initialize_tasks, _HOOKED, original)
    return initialize_tasks


class _HookingFinder(importlib.abc.MetaPathFinder):
    """Finds one module as Python would, and runs a hook on it once it is loaded."""

    def __init__(self, name: str, hook: Callable[[ModuleType], None]) -> None:
        self.name, self._hook = name, hook

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            _hook_after_loading(spec.loader, self._hook)
        return spec


def _hook_after_loading(loader: importlib.abc.Loader, hook: Callable[[ModuleType], None]) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module  # a loader may serve other modules too
        load(module)
        _hook_or_warn(module, hook)

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _hook_when_bound(name: str, hook: Callable[[ModuleType], None]) -> None:
    """Run a hook once a module that is being imported is bound in its package, and so complete."""
    package, _, child = name.rpartition(".")

    class Watching(ModuleType):
        """A package that runs the hook once and then has its former class again."""

        def __setattr__(self, attribute: str, value: object) -> None:
            super().__setattr__(attribute, value)
            if attribute == child and isinstance(value, ModuleType):
                self.__class__ = ModuleType  # type: ignore[assignment]
                _hook_or_warn(value, hook)

    sys.modules[package].__class__ = Watching


def _hook_or_warn(module: ModuleType, hook: Callable[[ModuleType], None]) -> None:
    try:
        hook(module)
    except HostChangedError as error:
        logger.warning("%s", error)
