"""Links and commands of the documents: every link leads somewhere, every command parses."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cyclopts import CycloptsError

from videojudge_bench.cli.main import app

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?![a-z]+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
FENCE = re.compile(r"^```(?:bash)?\n(?P<text>.*?)^```$", re.M | re.S)
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "judges/*.md", "training/**/*.md", "results/**/*.md")
    for path in ROOT.glob(pattern)
)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as the forge and the site make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    missing = []
    for match in LINK.finditer(path.read_text(encoding="utf-8")):
        target = (path.parent / match["path"]).resolve() if match["path"] else path
        named = match["anchor"]
        if not target.exists() or (named and named not in anchors(target)):
            missing.append(match.group(0))
    assert missing == []


def commands() -> list[tuple[str, str]]:
    """Page and words of each `videojudge` command that stands in a block of the documents."""
    listed = []
    for page in ("README.md", *(name for name in PAGES if name.startswith("docs/"))):
        text = (ROOT / page).read_text(encoding="utf-8")
        for block in FENCE.finditer(text):
            for line in block["text"].replace("\\\n", " ").splitlines():
                words = re.search(r"(?:^|\$ |[A-Z_]+=\S+ |-- )(videojudge .*)", line)
                if words is not None and line[:1] != " ":
                    listed.append((page, words[1]))
    return listed


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_parse(page: str, command: str) -> None:
    words = [word for word in shlex.split(command, comments=True) if word != "…"]
    app.parse_args(words[1:], exit_on_error=False, print_error=False)


def test_every_page_is_in_the_site(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "site.py", tmp_path / "sources"], check=True)
    sources = tmp_path / "sources"
    pages = {path.relative_to(sources).as_posix() for path in sources.glob("docs/*.md")}
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = [page for part in nav for page in leaves(part)]
    assert pages == {page for page in listed if page.startswith("docs/")}
    assert [page for page in listed if not (sources / page).is_file()] == []
    assert "## videojudge judge" in (sources / "docs/command-line.md").read_text("utf-8")


def leaves(part: str | dict[str, str | list[str]]) -> list[str]:
    """Paths in a part of the site's navigation."""
    if isinstance(part, str):
        return [part]
    (children,) = part.values()
    return [children] if isinstance(children, str) else children


def test_unknown_options_do_not_parse() -> None:
    with pytest.raises(CycloptsError):
        app.parse_args(["judge", "a.jsonl", "--nope"], exit_on_error=False, print_error=False)
