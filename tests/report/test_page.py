"""Pages: what stands in them is text, whatever a run, a layer or a file is called; every number can be read."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pnc.compare import compare, follow, follow_seeds
from pnc.curves import LayerCurve, LayerNotes
from pnc.data import draw
from pnc.report.html import page_html
from pnc.report.pages.model import Page, Plot, Section, Table
from pnc.report.pages.networks import comparison_page, following_page, measured_page
from pnc.report.style import PAGE, PAPER, SCREEN, Style, in_variables
from pnc.report.writing import write_plot
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import bounds, predict

HOSTILE = "</pre><script>alert('x')</script>&\"<b>"


class Parsed(HTMLParser):
    """Tags, attributes, and the texts within them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.inside, self.attributes = [], {}, [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.inside.append(tag)
        self.attributes.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self.inside:
            self.texts.setdefault(self.inside[-1], []).append(data)


def curves(name=HOSTILE):
    l = np.arange(8)
    return [
        LayerCurve(
            layers=l,
            compression=3 * ratio**l * np.exp(0.01 * np.sin(l)),
            discrimination=0.1 + 0.1 * l + 0.001 * np.cos(3 * l),
            within_scatter=3 * ratio**l,
            between_scatter=np.ones(8),
            notes=[LayerNotes(name=name, compression_error=0.01, discrimination_error=0.02) for _ in l],
        )
        for ratio in (0.4, 0.5, 0.6)
    ]


def models():
    problem, network = draw(ProblemSpec()), NetworkSpec(depth=4)
    law = predict(problem, network)
    compared = compare(law, law, bounds=bounds(problem, network))
    shared = {"title": HOSTILE, "record": {HOSTILE: HOSTILE}, "again": (HOSTILE,)}
    return {
        "comparison": comparison_page(compared, command=HOSTILE, **shared),
        "following": following_page(follow(curves()[0]), **shared),
        "seeds": following_page(follow_seeds(curves()), **shared),
        "measured": measured_page(
            {HOSTILE: curves()[0]}, below_noise={HOSTILE: [7]}, collapsed={}, notes=[HOSTILE], **shared
        ),
    }


MODELS = models()


@pytest.fixture(scope="module", params=list(MODELS))
def rendered(request):
    return MODELS[request.param], page_html(MODELS[request.param])


def test_names_are_text(rendered):
    _, html = rendered
    page = Parsed(html)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert page.texts["h1"] == [HOSTILE]
    assert json.loads("".join(page.texts["pre"][1:])) == {HOSTILE: HOSTILE}


def test_every_drawing_is_described_and_has_its_numbers_beside_it(rendered):
    model, html = rendered
    page = Parsed(html)
    drawings = [attributes for tag, attributes in page.attributes if tag == "svg"]
    assert len(drawings) == len(model.plots) > 1
    names = [attributes["id"] for _, attributes in page.attributes if "id" in attributes]
    assert len(names) == len(set(names))  # of one drawing never those of another
    for attributes, plot in zip(drawings, model.plots, strict=True):
        assert attributes["role"] == "img"
        assert set(attributes["aria-labelledby"].split()) <= set(names)
        assert plot.title in page.texts["title"]
        assert plot.caption in page.texts["desc"]
        assert plot.table.caption in page.texts["caption"]
        assert len(plot.table.rows) > 1


def test_colours_of_drawings_follow_the_page(rendered):
    _, html = rendered
    assert "var(--ink)" in html
    assert not re.search(r"#0b0c[0-9a-f]{2}", html)  # none is left that stands for a variable
    for name in re.findall(r"var\(--(\w+)\)", html):
        assert html.count(f"--{name}:") >= 2, name  # for light and for dark


def test_nothing_is_fetched(rendered):
    _, html = rendered
    loads = re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?([^"')\s>]*)""", html)
    assert all(link.startswith("#") for link in loads), loads


def test_numbers_stand_in_the_tables():
    cells = Parsed(page_html(MODELS["following"])).texts["td"]
    for value in (*curves()[0].compression, *curves()[0].discrimination):
        assert f"{value:.4g}" in cells
    assert HOSTILE in cells  # the layers by name


def test_a_layer_below_noise_is_marked_and_what_to_do_is_said():
    page = MODELS["measured"]
    assert page.verdict == "BELOW_NOISE"
    assert any("float64" in step for step in page.steps)
    assert any("(below noise)" in str(cell) for section in page.sections for t in section.tables for cell in t.rows[-1])


def test_standard_errors_are_bars_of_their_own_shape():
    (plot,) = (plot for plot in MODELS["measured"].plots if plot.name == "compression")
    from pnc.report.canvas import new_panel

    with new_panel(SCREEN) as (_, axis):
        plot.draw(axis, SCREEN)
        (bars,) = [c for c in axis.containers if type(c).__name__ == "ErrorbarContainer"]
        ends = np.array([segment[:, 1] for segment in bars[2][0].get_segments()])
    values = curves()[0].compression
    # of C on the scale of its logarithm: as far below as above, never negative, and one error wide to first order
    np.testing.assert_allclose(values / ends[:, 0], ends[:, 1] / values, rtol=1e-9)
    np.testing.assert_allclose(ends[0, 1] - values[0], 0.01, rtol=0.01)
    assert (ends > 0).all()


def test_a_value_that_is_missing_is_a_dash_and_an_empty_column_is_left_out():
    table = Table(caption="", header=("layer", "a", "b"), rows=((0, None, 1.5), (1, float("nan"), None)))
    assert table.without_empty_columns().header == ("layer", "b")
    assert table.without_empty_columns().shown() == [["0", "1.5"], ["1", "–"]]
    assert table.to_csv() == "layer,a,b\n0,,1.5\n1,,\n"


def plot_of_two():
    def draw_two(axis, style):
        axis.plot([0, 1], [1, 2], label="α", **style.look(0))
        axis.set_xlabel("layer")

    table = Table(caption="n", header=("layer", "y"), rows=((0, 1.0), (1, 2.0)))
    return Plot(name="two", title="Two", caption="Two numbers.", table=table, draw=draw_two)


@pytest.mark.parametrize("style", [SCREEN, PAPER], ids=lambda style: style.name)
def test_a_figure_has_three_formats_its_numbers_and_its_caption(tmp_path, style):
    write_plot(tmp_path, plot_of_two(), style=style)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["two.csv", "two.pdf", "two.png", "two.svg", "two.txt"]
    assert (tmp_path / "two.csv").read_text() == "layer,y\n0,1.0\n1,2.0\n"
    assert (tmp_path / "two.txt").read_text() == "Two. Two numbers.\n"
    pdf = (tmp_path / "two.pdf").read_bytes()
    assert b"/FontFile2" in pdf or b"/FontFile3" in pdf or b"/Type3" in pdf
    if style is PAPER:
        assert b"/FontFile2" in pdf  # TrueType, embedded: what journals ask for
        assert b"/Type3" not in pdf
    again = tmp_path / "again"
    again.mkdir()
    write_plot(again, plot_of_two(), style=style)
    for name in ("two.pdf", "two.png", "two.svg"):
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_curves_are_told_apart_without_colour():
    looks = [SCREEN.look(place) for place in range(56)]
    assert len({(look["color"], look["marker"]) for look in looks}) == 56
    first = looks[:7]
    assert len({look["marker"] for look in first}) == len({str(look["linestyle"]) for look in first}) == 7


def test_no_colour_of_the_page_is_left_as_a_number():
    assert in_variables(PAGE.ink) == "var(--ink)"
    assert [in_variables(colour) for colour in PAGE.series] == [f"var(--c{place})" for place in range(7)]
    assert isinstance(PAGE, Style)


def test_an_empty_page_is_a_page():
    html = page_html(
        Page(command="x", title="t", verdict="v", tone="open", meaning="m", sections=(Section(title="s"),))
    )
    assert Parsed(html).tags.count("main") == 1


def test_parts_of_a_verdict_stand_in_the_page_of_a_training():
    from pnc.report.pages.networks import trained_page

    parts = [{"name": HOSTILE, "statement": "N1", "outcome": "not held", "told": "C is outside", "details": {}}]
    following = {"verdict": "UNDECIDED", "advice": "too few", "reasons": []}
    page = trained_page(
        {"train": curves()[0]}, title="t", verdict=None, following=following, accuracies={"train": 0.5}, history=[],
        record={}, parts=parts,
    )  # fmt: skip
    cells = Parsed(page_html(page)).texts
    assert HOSTILE in cells["th"]
    assert {"N1", "not held", "C is outside"} <= set(cells["td"])


def test_the_page_of_a_run_that_was_interrupted_is_that_of_any_other():
    from pnc.report.writing import shown_record

    whole = {
        "training": {"resumed_from": None, "seconds": 2.0, "steps": 9, "low_rank": {"step_seconds": {"with": 1.0}}}
    }
    again = {"training": {"resumed_from": 4, "seconds": 3.0, "steps": 9, "low_rank": {"step_seconds": {"with": 1.5}}}}
    assert shown_record(whole) == shown_record(again) == {"training": {"steps": 9, "low_rank": {}}}
