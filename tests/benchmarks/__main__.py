"""`make bench`: runs every benchmark and keeps what it prints in results/benchmarks/, with a chart.

`python tests/benchmarks NAME …` runs some of them; `--charts` only draws the charts anew. One that
needs more than the package has (a vLLM) runs only when it is named.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from charts import chart_of

HERE = Path(__file__).parent
ONLY_BY_NAME = ("engines_speed",)
RESULTS = HERE.parent.parent / "results" / "benchmarks"


def main() -> None:
    """Run the benchmarks named on the command line, or all of them."""
    named = [word for word in sys.argv[1:] if word != "--charts"]
    scripts = [p for p in sorted(HERE.glob("*.py")) if p.stem not in ("__main__", "charts")]
    RESULTS.mkdir(parents=True, exist_ok=True)
    for script in scripts:
        if script.stem not in named if named else script.stem in ONLY_BY_NAME:
            continue
        if "--charts" in sys.argv:
            _draw(script.stem)
            continue
        sys.stdout.write(f"{script.stem}\n")
        sys.stdout.flush()
        done = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
        (RESULTS / f"{script.stem}.json").write_text(done.stdout, encoding="utf-8")
        sys.stdout.write(done.stdout)
        _draw(script.stem)


def _draw(stem: str) -> None:
    path = RESULTS / f"{stem}.json"
    if path.exists() and (chart := chart_of(stem, json.loads(path.read_text(encoding="utf-8")))):
        path.with_suffix(".svg").write_text(chart, encoding="utf-8")


if __name__ == "__main__":
    main()
