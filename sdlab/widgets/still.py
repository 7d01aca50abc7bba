"""Tables of the static pictures that stay in a saved notebook."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape


def render_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", style: str = ""
) -> Markup:
    """Renders a table that can stand anywhere: scopes on its headings, and every text escaped.

    Parameters
    ----------
    head : sequence of str
        The columns' names, that of the rows' names first; empty for a table without a head.
    rows : sequence of sequences
        Of each row its name, then its cells. A text that is `Markup` counts as ready HTML.
    caption : str
    style : str
        CSS of each cell, for pages that have no style sheet.
    """
    column, row = f'<th scope="col" style="{style}">', f'<th scope="row" style="{style}">'
    top = "".join(f"{column}{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{row}{escape(name)}</th>"
        + "".join(f'<td style="{style}">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    said = f"<caption>{escape(caption)}</caption>" * bool(caption)
    return Markup(f"<table>{said}{f'<thead><tr>{top}</tr></thead>' * bool(head)}{body}</table>")
