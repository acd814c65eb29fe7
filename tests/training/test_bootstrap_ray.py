"""The same shards by Ray Data on a local Ray of two CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from talk import options_for, outputs

from videojudge_bench.errors import ConfigError, RunStoppedError
from videojudge_bench.training.bootstrap.executors import Tally
from videojudge_bench.training.bootstrap.options import BootstrapOptions
from videojudge_bench.training.bootstrap.run import run_bootstrap

pytest.importorskip("ray", reason="the extra `ray` is not installed")

pytestmark = pytest.mark.timeout(300)

HERE = Path(__file__).parent
SEEDS = 600


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    """A Ray of two CPUs, whose workers find the engine of the tests."""
    import ray

    root = HERE.parents[1]
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": f"{root}:{HERE}"}},
    )
    yield
    ray.shutdown()


def _options(folder: Path, *changes: str) -> BootstrapOptions:
    return options_for(folder, SEEDS, *changes)


@pytest.mark.parametrize("concurrency", [1, 256])
def test_ray_makes_the_same_files(concurrency: int, tmp_path: Path) -> None:
    shown: list[int] = []

    def show(tally: Tally, seeds: int) -> None:
        assert seeds == SEEDS
        shown.append(tally.seeds)

    here = run_bootstrap(_options(tmp_path, "concurrency=16"), tmp_path / "here")
    there = run_bootstrap(
        _options(tmp_path, f"concurrency={concurrency}"),
        tmp_path / "there",
        executor="ray",
        workers=2,
        on_progress=show,
    )
    assert outputs(tmp_path / "there") == outputs(tmp_path / "here")
    assert there.tally.kept == here.tally.kept
    assert there.tally.requests == here.tally.requests
    assert shown[-1] == SEEDS


def test_ray_makes_the_same_files_with_perturb(tmp_path: Path) -> None:
    from videojudge_bench.training.bootstrap.options import load_options

    options = load_options("embedded", ["seeds.n=600", "generator.noise=0.1"])
    run_bootstrap(options, tmp_path / "here")
    crowded = options.model_copy(update={"concurrency": 256})
    run_bootstrap(crowded, tmp_path / "crowded")
    run_bootstrap(options, tmp_path / "there", executor="ray", workers=2)
    assert outputs(tmp_path / "there") == outputs(tmp_path / "here")
    assert outputs(tmp_path / "crowded") == outputs(tmp_path / "here")


def test_a_budget_holds_for_all_workers_together_and_runs_of_both_kinds_go_on(
    tmp_path: Path,
) -> None:
    run_bootstrap(_options(tmp_path), tmp_path / "whole")
    limited = _options(tmp_path, "max_requests=2000")
    result = run_bootstrap(limited, tmp_path / "out", executor="ray", workers=2)
    assert "a worker's share: max_requests=1000 is used up" in result.budget
    assert 1000 <= result.tally.requests <= 2000
    more = _options(tmp_path, "max_requests=4000")
    assert run_bootstrap(more, tmp_path / "out").tally.requests == 4000
    done = run_bootstrap(_options(tmp_path), tmp_path / "out", executor="ray")
    assert not done.budget
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    again = run_bootstrap(_options(tmp_path), tmp_path / "out", executor="ray")
    assert again.tally.kept == done.tally.kept
    assert again.tally.requests == done.tally.requests  # all there: nobody is asked


def test_trouble_of_a_worker_ends_the_run(tmp_path: Path) -> None:
    gone = ("base_url=http://127.0.0.1:9/v1", "model=m", "retries=0")
    options = options_for(
        tmp_path, 300, *(f"generator.{option}" for option in gone), "generator.engine=openai"
    )
    with pytest.raises(RunStoppedError, match=r"127\.0\.0\.1:9"):
        run_bootstrap(options, tmp_path / "out", executor="ray", workers=1)


def test_more_workers_than_cpus_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--workers 64: Ray has 2 CPUs"):
        run_bootstrap(_options(tmp_path), tmp_path / "out", executor="ray", workers=64)
