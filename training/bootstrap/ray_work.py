"""Work on shards by Ray Data's workers: of this machine, or of a cluster that shares the folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.errors import (
    ConfigError,
    MissingPackageError,
    RunStoppedError,
    VideoJudgeError,
)
from videojudge_bench.training.bootstrap.calls import Limits, Meter
from videojudge_bench.training.bootstrap.executors import ShardWork, Tally
from videojudge_bench.training.bootstrap.options import BootstrapOptions
from videojudge_bench.training.bootstrap.roles import build_roles
from videojudge_bench.training.bootstrap.run_folder import SHARD_SEEDS, RunFolder, Shard

if TYPE_CHECKING:
    import numpy as np


class ShardWorker:
    """Works on the shards of a batch; Ray Data makes one per worker. Every node sees the folder."""

    def __init__(self, path: Path, options: BootstrapOptions, limits: Limits) -> None:
        self._folder, self._options, self._meter = RunFolder(path), options, Meter(limits)
        self._roles = build_roles(
            options.roles, seeds=self._folder.seeds, concurrency=options.concurrency
        )

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, list[object]]:
        """Return one row: the tally of the seeds, and why the work stopped."""
        columns = (batch[name].tolist() for name in ("number", "offset", "seeds"))
        shards = [Shard(*row) for row in zip(*columns, strict=True)]
        tally, meter = Tally(), self._meter
        requests, cost = meter.requests, meter.cost
        work = ShardWork(self._folder, self._roles, meter, self._options, on_outcome=tally.add)
        try:
            work.run(shards)
        except VideoJudgeError as error:
            meter.halt(str(error))
        tally.requests, tally.cost = meter.requests - requests, meter.cost - cost
        row = {**asdict(tally), "budget": meter.budget, "trouble": meter.trouble}
        return {name: [value] for name, value in row.items()}


def run_on_ray(
    options: BootstrapOptions,
    folder: RunFolder,
    shards: Sequence[Shard],
    spent: Tally,
    *,
    workers: int | None,
    on_progress: Callable[[Tally], None],
) -> str:
    """Work on shards with Ray Data; return why the budget ended it, or "".

    Ray is started here, or joined where RAY_ADDRESS says, with one worker per CPU by default. The
    rest of the budget, after what earlier runs `spent`, is dealt out to the workers in equal
    shares.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: there are not so many CPUs.
        RunStoppedError: a worker had to stop; what it has done is kept.
    """
    try:
        import ray
    except ImportError as error:
        install = 'pip install "videojudge-bench[ray]"'
        raise MissingPackageError("--executor ray", "ray", install) from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    try:
        workers = _workers(workers, int(ray.cluster_resources().get("CPU", 1)), len(shards))
        made_of = (folder.path, options, _share(options.limits, spent, workers))
        return _run(made_of, shards, workers, on_progress)
    finally:
        if started:
            ray.shutdown()


def _run(
    made_of: tuple[Path, BootstrapOptions, Limits],
    shards: Sequence[Shard],
    workers: int,
    on_progress: Callable[[Tally], None],
) -> str:
    import ray.data

    # Ray Data reports every second on what we show ourselves.
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    rows = [asdict(shard) for shard in shards]
    # Enough shards at once that the seeds of the next fill in while the last ones of one are slow.
    at_once = min(-(-2 * made_of[1].concurrency // SHARD_SEEDS), -(-len(shards) // workers))
    done = (
        ray.data.from_items(rows, override_num_blocks=-(-len(rows) // at_once))
        .map_batches(
            ShardWorker,
            fn_constructor_args=made_of,
            batch_size=at_once,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
    )  # fmt: skip
    budget = ""
    for row in done.iter_rows():
        on_progress(Tally(**{field.name: row[field.name] for field in fields(Tally)}))
        if row["trouble"]:
            raise RunStoppedError(row["trouble"])
        budget = budget or row["budget"]
    return f"a worker's share: {budget}" if budget else ""


def _workers(asked: int | None, cpus: int, shards: int) -> int:
    if asked is not None and not 1 <= asked <= cpus:
        raise ConfigError(
            f"--workers {asked}: Ray has {cpus} CPUs here, and each worker takes one; give 1 to "
            f"{cpus}, or set RAY_ADDRESS to a cluster with more"
        )
    return min(asked or cpus, shards)


def _share(limits: Limits, spent: Tally, workers: int) -> Limits:
    requests, cost = limits.max_requests, limits.max_cost
    return replace(
        limits,
        max_requests=None if requests is None else max(0, requests - spent.requests) // workers,
        max_cost=None if cost is None else max(0.0, cost - spent.cost) / workers,
    )
