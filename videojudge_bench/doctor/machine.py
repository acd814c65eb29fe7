"""Section `machine`: GPUs, memory, space on the disks that we write to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from videojudge_bench.doctor.findings import Finding, Section, gigabytes
from videojudge_bench.doctor.host import Host
from videojudge_bench.goldsets import store
from videojudge_bench.run.plan import default_journal_root
from videojudge_bench.video.store import FOLDER_VARIABLE, default_frame_folder

SCARCE_BYTES = 5_000_000_000
"""Less free space on a disk is not enough for a run with videos."""

SCARCE_SHARED_BYTES = 2 << 30
"""Less shared memory is not enough for the processes of a training."""

_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")


def machine(host: Host) -> Section:
    """Return what the machine has."""
    findings = [
        *_gpus(host),
        _memory(),
        _shared_memory(),
        _folder("frames kept", default_frame_folder(), f"{FOLDER_VARIABLE}=DIR"),
        _folder("journals", default_journal_root(), "journal=DIR"),
        _folder("gold sets added", store.root(), "XDG_DATA_HOME=DIR"),
        _folder("models of the hub", hub_folder(), "HF_HOME=DIR"),
    ]
    return Section("machine", "Machine", findings)


def free_memory_bytes() -> int:
    """Return how much memory is free."""
    psutil: Any = import_module("psutil")  # without types
    return int(psutil.virtual_memory().available)


def cpu_cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus(host: Host) -> Iterator[Finding]:
    for gpu in host.gpus:
        text = f"{gpu.name}, {gigabytes(gpu.free_bytes)} of {gigabytes(gpu.total_bytes)} free"
        values = {"free_bytes": gpu.free_bytes, "total_bytes": gpu.total_bytes}
        yield Finding("gpu", "ok", text, values=values)
    if host.gpus:
        return
    if host.torch is not None and host.torch.mps:
        yield Finding("gpu", "ok", "Apple's, which shares the memory")
        return
    seen = _seen_by_driver()
    if not seen:
        text, fix = "none", "Judges that run a model want one; judge=openai takes a server's"
    elif host.torch is None:
        text, fix = f"{seen}, and torch does not run", "Fix torch first"
    elif host.torch.cuda is None:
        text = f"{seen}, and the installed torch is built for the CPU alone"
        fix = "Install a torch built for CUDA: https://pytorch.org/get-started"
    else:
        text = f"{seen}, and torch (CUDA {host.torch.cuda}) cannot use it"
        fix = "Look at CUDA_VISIBLE_DEVICES, and whether the driver is new enough for that CUDA"
    yield Finding("gpu", "note", text, fix)


def _seen_by_driver() -> str:
    """Return the GPUs that NVIDIA's driver reports; empty without a driver."""
    program = shutil.which(_NVIDIA_SMI[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *_NVIDIA_SMI[1:]], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi fails ({type(error).__name__})"
    lines = done.stdout.strip().splitlines()
    if done.returncode:
        return f"nvidia-smi fails ({lines[0] if lines else done.returncode})"
    return f"the driver shows {'; '.join(lines)}" if lines else ""


def _memory() -> Finding:
    psutil: Any = import_module("psutil")
    memory = psutil.virtual_memory()
    cores = cpu_cores()
    text = f"{gigabytes(memory.available)} of {gigabytes(memory.total)} free; {cores} CPU cores"
    values = {"free_bytes": memory.available, "total_bytes": memory.total, "cores": cores}
    return Finding("memory", "ok", text, values=values)


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        return Finding("/dev/shm", "note", "not here; a Linux needs training.workers=0 then")
    free = shutil.disk_usage(folder).free
    values = {"free_bytes": free}
    if free > SCARCE_SHARED_BYTES:
        return Finding("/dev/shm", "ok", f"{gigabytes(free)} free", values=values)
    text = f"{gigabytes(free)} free: processes of a training that make rows ready may die of it"
    fix = "In a container, start it with more (docker run --shm-size=8g), or training.workers=0"
    return Finding("/dev/shm", "note", text, fix, values)


def hub_folder() -> Path:
    """Return the folder in which the Hugging Face hub's models are kept."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _folder(name: str, folder: Path, other: str) -> Finding:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        fix = f"Make it writable, or name another ({other})"
        return Finding(name, "broken", f"{folder} cannot be written to", fix)
    free = shutil.disk_usage(there).free
    text, values = f"{folder}, {gigabytes(free)} free on its disk", {"free_bytes": free}
    if free < SCARCE_BYTES:
        return Finding(name, "note", text, f"Make room, or name another folder ({other})", values)
    return Finding(name, "ok", text, values=values)
