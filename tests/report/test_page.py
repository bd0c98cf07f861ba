"""Pages: what stands in them is text, whatever a run, a layer or a file is called."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure

from pnc.compare import compare, follow, follow_seeds
from pnc.curves import LayerCurve
from pnc.data import draw
from pnc.report.following import following_page
from pnc.report.page import rendered, report_page
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import predict

HOSTILE = "</pre><script>alert('x')</script>&\"<b>"


class Page(HTMLParser):
    """Tags, and the texts within them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.inside = [], {}, []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self.inside:
            self.texts.setdefault(self.inside[-1], []).append(data)


def curves():
    l = np.arange(8)
    return [
        LayerCurve(
            layers=l,
            compression=3 * ratio**l * np.exp(0.01 * np.sin(l)),
            discrimination=0.1 + 0.1 * l + 0.001 * np.cos(3 * l),
            within_scatter=3 * ratio**l,
            between_scatter=np.ones(8),
        )
        for ratio in (0.4, 0.5, 0.6)
    ]


def pages():
    law = predict(draw(ProblemSpec()), NetworkSpec(depth=4))
    figure = new_figure_of_nothing()
    return {
        "comparison": report_page(compare(law, law), figure, title=HOSTILE, record={HOSTILE: HOSTILE}),
        "following": following_page(follow(curves()[0]), figure, title=HOSTILE, record={HOSTILE: HOSTILE}),
        "seeds": following_page(follow_seeds(curves()), figure, title=HOSTILE, record={HOSTILE: HOSTILE}),
    }


def new_figure_of_nothing():
    return Figure(figsize=(2, 2))


@pytest.mark.parametrize("name", ["comparison", "following", "seeds"])
def test_names_are_text(name):
    page = Page(pages()[name])
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert page.texts["h1"] == [HOSTILE]
    assert json.loads("".join(page.texts["pre"])) == {HOSTILE: HOSTILE}
    assert page.tags.count("svg") == 1


def test_numbers_stand_in_the_table():
    page, curve = Page(pages()["following"]), curves()[0]
    cells = page.texts["td"]
    for value in (*curve.compression, *curve.discrimination):
        assert f"{value:.4g}" in cells
    assert "–" in cells  # the fuzziness, which was not measured


def test_a_value_that_is_missing_is_an_error_not_a_gap():
    with pytest.raises(UndefinedError):
        rendered("comparison.html.j2", figure=new_figure_of_nothing(), record={}, title="t", record_title="r")
