"""Tables of a notebook as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup


def table_html(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table; every text in it is escaped."""
    names = Markup().join(Markup("<th>{}</th>").format(name) for name in head)
    lines = Markup().join(
        Markup("<tr>{}</tr>").format(Markup().join(Markup("<td>{}</td>").format(c) for c in row))
        for row in rows
    )
    caption = Markup("<caption>{}</caption>").format(title)
    header = Markup("<thead><tr>{}</tr></thead>").format(names) if any(head) else Markup()
    return Markup("<table>{}{}<tbody>{}</tbody></table>").format(caption, header, lines)
