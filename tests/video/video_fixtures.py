"""Clips are made once for all tests of this folder; a test file imports what it uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import Maker

from videojudge_bench.video.pool import POOL


@pytest.fixture(scope="session", name="clips")
def clip_maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Makes clips by name; made ones are kept."""
    return Maker(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session", name="broken")
def broken_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files that are no videos."""
    return tmp_path_factory.mktemp("broken")


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """End the decoding processes with the tests that used them."""
    yield
    POOL.close()
