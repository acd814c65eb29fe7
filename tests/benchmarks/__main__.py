"""`make bench`: runs every benchmark and keeps what it prints in results/benchmarks/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parent.parent / "results" / "benchmarks"


def main() -> None:
    """Run the benchmarks named on the command line, or all of them."""
    named = sys.argv[1:]
    scripts = [p for p in sorted(HERE.glob("*.py")) if p.stem != "__main__"]
    RESULTS.mkdir(parents=True, exist_ok=True)
    for script in scripts:
        if named and script.stem not in named:
            continue
        sys.stdout.write(f"{script.stem}\n")
        sys.stdout.flush()
        done = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
        (RESULTS / f"{script.stem}.json").write_text(done.stdout, encoding="utf-8")
        sys.stdout.write(done.stdout)


if __name__ == "__main__":
    main()
