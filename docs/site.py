"""Gather the sources of the site: the documents, what they link to, and the reference of commands.

    python docs/site.py FOLDER

Files keep their paths, so that links hold in the repository and on the site alike.
"""

from __future__ import annotations

import os.path
import re
import shutil
import sys
from pathlib import Path

from videojudge_bench.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?P<path>(?![a-z]+:|#)[^)#\s]+)")


def gather(folder: Path) -> None:
    """Write the sources into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    queue = ["README.md", *(f"docs/{page.name}" for page in sorted(ROOT.glob("docs/*.md")))]
    copied = set()
    while queue:
        path = queue.pop()
        if path in copied or not (ROOT / path).is_file():
            continue
        copied.add(path)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
        if path.endswith(".md"):
            links = LINK.finditer((ROOT / path).read_text(encoding="utf-8"))
            queue += [os.path.normpath(Path(path).parent / match["path"]) for match in links]
    commands = app.generate_docs(recursive=True, heading_level=1)
    (folder / "docs" / "command-line.md").write_text(commands, encoding="utf-8")


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
