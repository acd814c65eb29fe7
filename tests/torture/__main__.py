"""`make torture`: tries to break the product, and writes what was lost.

`python tests/torture [NAME …] [--short] [--output DIR]` runs all parts or some of them: kills,
replies, videos, server, hostile, stops, streams, troubles, soak. The parts that are not run keep
what the file says of them, and several processes may run different parts at the same time.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"
# Clips, scripted models and the like are those of the other tests.
sys.path += [
    str(HERE.parent),
    *(str(HERE.parent / name) for name in ("training", "video", "serving")),
]

from parts import FULL, PARTS, SHORT, run_part  # noqa: E402 - it is found by the line above
from report import to_markdown  # noqa: E402


def main() -> int:
    """Run what was asked for; 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--short", action="store_true", help="a little of each, for make test")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - PARTS.keys())
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    kept = arguments.output / "reliability.json"
    arguments.output.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name in arguments.names or PARTS:
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        part = run_part(name, SHORT if arguments.short else FULL)
        # Read again after each part: another process may run other parts at the same time.
        found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        found[name] = part
        kept.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    done = {name: found[name] for name in PARTS if name in found}
    command = " ".join(["python tests/torture", *done, *["--short"] * arguments.short])
    page = to_markdown(done, "make torture" if [*done] == [*PARTS] else command)
    kept.with_suffix(".md").write_text(page, encoding="utf-8")
    lost = [line for name in found for line in found[name]["lost"]]
    sys.stdout.writelines(f"lost: {line}\n" for line in lost)
    sys.stdout.write(f"wrote {kept.with_suffix('.md')}\n")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
