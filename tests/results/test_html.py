"""Tables in HTML say what their headings are, and escape what is no markup."""

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from sdlab.results.html import TEMPLATES, TableCell, render_table


def test_a_table_escapes_its_texts_and_keeps_ready_markup():
    page = render_table(
        ["<pair>", "left"], [["<b>", Markup("<img>")], ["2", "<i>"]], caption='"<s>"'
    )
    assert (
        "<b>" not in page and "<i>" not in page and "<s>" not in page and "<td><img></td>" in page
    )
    assert '<th scope="col">&lt;pair&gt;</th>' in page and '<th scope="row">&lt;b&gt;</th>' in page
    assert "<caption>&#34;&lt;s&gt;&#34;</caption>" in page


def test_without_a_head_there_is_none_and_a_style_stands_on_every_cell():
    page = render_table([], [["a", "1"], ["b", "2"]], style="padding:2px")
    assert "<thead>" not in page and page.count('style="padding:2px') == 4
    assert page.count('<th scope="row" style="padding:2px;min-width:5em">') == 2


def test_a_column_of_numbers_has_a_heading_like_them():
    page = render_table(["", "n", "word"], [["a", TableCell("1", "number"), "x"]])
    assert page.count('<th scope="col" class="number">n</th>') == 1 == page.count('"col" class')


def test_what_a_template_is_not_given_is_an_error():
    with pytest.raises(UndefinedError):
        TEMPLATES.get_template("report.html.j2").render(title="Cats")
