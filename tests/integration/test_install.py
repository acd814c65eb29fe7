"""What a bare `pip install .` puts on a machine works without the checkout."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from repository import ROOT, pip, python
from running import Ran, evaluation, run

from videojudge_bench import goldsets

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore] # comes with pytest

PACKAGES = {
    "videojudge_bench": "videojudge_bench",
    "judges": "videojudge_bench/judges",
    "tasks": "videojudge_bench/tasks",
    "training": "videojudge_bench/training",
}
BUILD_SDIST = "import setuptools.build_meta as b; b.build_sdist('dist')"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dist/`: a wheel and an sdist built from a copy of the checkout."""
    here = tmp_path_factory.mktemp("built")
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        if source.is_dir():
            junk = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, here / name, ignore=junk)
        else:
            shutil.copy(source, here / name)
    python(["-c", BUILD_SDIST], here)
    pip(["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."], here)
    return here


@pytest.fixture(scope="module")
def site(built: Path) -> Path:
    """A folder with the installed wheel."""
    (wheel,) = (built / "dist").glob("*.whl")
    pip(["install", "--no-deps", "--target", "site", wheel], built)
    return built / "site"


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = (built / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert sorted(set(_package_files().values()) - names) == []
    top = {name.partition("/")[0] for name in names}
    assert {name.partition("-")[0] for name in top} == {"videojudge_bench"}


def test_the_sdist_holds_every_file_of_the_package(built: Path) -> None:
    (sdist,) = (built / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sorted(_package_files().keys() - names) == []
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names


IMPORT_ALL = """
import importlib, json, pkgutil
import videojudge_bench
found = [m.name for m in pkgutil.walk_packages(videojudge_bench.__path__, "videojudge_bench.")]
places = set()
for name in found:
    try:
        if not name.endswith("__main__"):
            places.add(str(importlib.import_module(name).__spec__.origin))
    except ModuleNotFoundError as error:
        if error.name not in ("ray", "verl"):  # of modules for those who have them
            raise
print(json.dumps([found, sorted(places)]))
"""


def test_every_module_is_imported_from_the_wheel(site: Path, tmp_path: Path) -> None:
    ran = _run_installed(["python", "-W", "ignore", "-c", IMPORT_ALL], site, tmp_path)
    assert ran.code == 0, ran.output
    found, places = json.loads(ran.output.splitlines()[-1])
    modules = {
        place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for place in _package_files().values()
        if place.endswith(".py")
    }
    assert {"videojudge_bench", *found} == modules
    assert [place for place in places if not place.startswith(str(site))] == []
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(listed["tool"]["setuptools"]["packages"]) <= {"videojudge_bench", *found}


def test_a_checkout_finds_the_folders_beside_the_package(tmp_path: Path) -> None:
    """`python -m` puts the current folder first: the checkout wins over what is installed."""
    probe = "import videojudge_bench.tasks.sample as s; print(s.__file__)"
    tests = ["tests/test_samples.py", "tests/training/test_sft_rows.py"]
    homes = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    for words, printed in (
        (["-c", probe], str(ROOT / "tasks" / "sample" / "__init__.py")),
        (["-m", "videojudge_bench.cli", "data", "verify", "llava"], "llava: content hash"),
        (["-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], " passed"),
    ):
        ran = run(["python", *words], ROOT, variables=homes)
        assert ran.code == 0, ran.output
        assert printed in ran.output


def test_commands_and_packages_come_from_the_wheel(site: Path, tmp_path: Path) -> None:
    program = "import videojudge_bench.judges as j, videojudge_bench.tasks as t; print(j, t)"
    ran = _run_installed(["python", "-c", program], site, tmp_path)
    assert ran.output.count(str(site)) == 2
    ran = _run_installed([f"{site}/bin/videojudge", "tasks-path"], site, tmp_path)
    assert ran.output.split() == [str(site / "videojudge_bench" / "tasks")]


def test_the_data_travel_with_the_wheel(site: Path, tmp_path: Path) -> None:
    ran = _run_installed([f"{site}/bin/videojudge-bench", "data", "verify"], site, tmp_path)
    assert ran.code == 0, ran.output
    assert "videoautoarena: no data here: get data/videoautobench.latest.json" in ran.output
    for name in WITH_DATA:
        digest = goldsets.load(name).content_hash
        assert f"{name}: content hash {digest}, as expected" in ran.output


def test_an_evaluation_runs_from_the_wheel(site: Path, tmp_path: Path) -> None:
    program = [f"{site}/bin/lmms_eval"]
    command = evaluation("judge=longest", tasks="videojudge_*", limit=6, program=program)
    ran = _run_installed(command, site, tmp_path)
    assert ran.code == 0, ran.output
    for name in WITH_DATA:
        units = 3 if goldsets.info(name).shape == "pairs" else 6
        assert ran.numbers(f"videojudge_{name}")["n_parsed"] == units
    accuracy = ran.numbers("videojudge_videoautoarena")["accuracy"]
    assert str(accuracy).startswith("undefined (no data: get data/videoautobench.latest.json")


WITH_DATA = [name for name in goldsets.names() if name != "videoautoarena"]


def _run_installed(command: Sequence[str], site: Path, folder: Path) -> Ran:
    return run(command, folder, variables={"PYTHONPATH": str(site)})


def _package_files() -> dict[str, str]:
    """Return the files of the package in the checkout, each with its place in the wheel."""
    return {
        f"{folder}/{inside}": f"{package}/{inside}"
        for folder, package in PACKAGES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and "__pycache__" not in (inside := path.relative_to(ROOT / folder).as_posix())
    }
