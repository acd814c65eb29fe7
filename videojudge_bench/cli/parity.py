"""The verb `videojudge parity`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from videojudge_bench._util.files import check_output
from videojudge_bench._util.options import scalar
from videojudge_bench._util.terminal import Verbs, say, table

EXIT_DIFFERENT = 1

_DESCRIPTION = """\
Asks two judges about the same items and says whether their verdicts are the same: before a server
is trusted to run a judge that was measured in process, say. Shows tokens a prompt, equal replies,
how far scores are apart, and the first place where prompts or positions differ.

  videojudge parity videojudge,pretrained=DIR \\
    videojudge,pretrained=DIR,engine=openai,base_url=URL,model=NAME --gold-set llava --limit 30

"Same verdicts": every reply is equal or parts where two tokens are equally likely (0.01 in
log-probability), and every score is within 0.02. No journal is read or kept.

exit status: 0 same verdicts, 1 different verdicts, 2 used wrongly"""


def add_parity(verbs: Verbs) -> None:
    """Add `parity` to a parser's verbs."""
    parity = verbs.add_parser(
        "parity",
        help="do two judges give the same verdicts? One model in process and behind a server, say",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_DESCRIPTION,
    )
    for name in ("a", "b"):
        parity.add_argument(name, metavar=f"JUDGE_{name.upper()}", help="NAME[,option=value…]")
    parity.add_argument("--gold-set", required=True, metavar="S", help="whose items are judged")
    parity.add_argument(
        "--limit", type=int, default=100, metavar="N", help="the first N items; default: 100"
    )
    parity.add_argument("--videos", type=Path, metavar="DIR", help="folder with the video files")
    parity.add_argument("--references", metavar="N", help="shown to both judges: 0, 1, … or all")
    parity.add_argument("--json", action="store_true", help="print all of it as one JSON object")
    parity.add_argument("-o", "--output", type=Path, metavar="FILE.html", help="write a page")
    parity.set_defaults(verb=_parity)


def _parity(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis import parity_summary
    from videojudge_bench.analysis.parity import compare_judges
    from videojudge_bench.goldsets.view import checked_references
    from videojudge_bench.report import page, parity_page
    from videojudge_bench.run.runner import RunOptions

    output: Path | None = arguments.output
    if output is not None:
        check_output(output)
    shown = arguments.references
    references = None if shown is None else checked_references(scalar(shown))
    options = RunOptions(references=references, videos=arguments.videos)
    found = compare_judges(
        arguments.a, arguments.b, arguments.gold_set, limit=arguments.limit, options=options
    )
    facts, findings = parity_summary.facts(found), parity_summary.findings(found)
    names = (found.a.name, found.b.name)
    if arguments.json:
        say([json.dumps(found.to_json(), indent=1)])
    else:
        table(("", *(f"{k}: {name}" for k, name in zip("AB", names, strict=True))), facts)
        say(f"{name}: {text}" for name, text in findings)
    if output is not None:
        rows = (parity_summary.ITEM_HEAD, parity_summary.item_rows(found))
        made = parity_page.parity_page(
            found.gold_set, names, facts, findings, rows, notes=parity_summary.NOTES
        )
        page.write(made, output)
    return 0 if found.is_same else EXIT_DIFFERENT
