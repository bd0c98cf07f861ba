"""Pages in a real browser: nothing is fetched, no error, nothing wider than the screen; axe finds nothing, level AA."""

from __future__ import annotations

import os
import shutil

import pytest

from pnc.cli.main import main

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install pnc[browser]")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe is not installed: pip install pnc[browser]"
)

BROWSER = os.environ.get("PNC_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path, and PNC_BROWSER does not name one"),
]

COMMANDS = {
    "simulate": [
        "simulate",
        "--depth",
        "12",
        "--classes",
        "10",
        "--samples-per-class",
        "4",
        "--width",
        "60",
        "--record",
        "20",
    ],
    "measure": ["measure", "{run}"],
    "train": None,
    "choose": ["choose", "{run}"],
    "tail": ["tail", "{run}"],
    "compress": ["compress", "{run}", "--site", "body.2", "--no-svm"],
    "compare": ["compare", "{run}"],
    "sweep": ["sweep", "--depth", "3:4", "--width", "40", "-q"],
    "report": ["report", "{run}", "{simulate}"],
}
LEAST_CONTRAST = 4.5


def pnc(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code in (0, 3, 4)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    place = tmp_path_factory.mktemp("pages")
    train = ["train", "mlp", "--data", "fashion-mnist", "--samples-per-class", 20, "--test-samples-per-class", 10]
    pnc(*train, "--depth", 12, "--width", 24, "--epochs", 4, "--measure-every", 2, "--quiet", "--out", place / "train")
    found = {"train": place / "train"}
    for name, words in COMMANDS.items():
        if words is not None:
            filled = [word.format(run=place / "train", simulate=place / "simulate") for word in words]
            pnc(*filled, "--out", place / name)
            found[name] = place / name
    return found


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_page_is_readable_by_everyone(browser, pages, name):
    file = pages[name] / "report.html"
    assert file.stat().st_size <= 1.5e6
    for width in (1200, 400):
        for brightness in ("light", "dark"):
            with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=brightness) as context:
                check(context.new_page(), file, width)


def check(page, file, width):
    errors, requests = [], []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    violations = axe.Axe().run(page, options=options).response["violations"]
    assert violations == [], [(one["id"], one["nodes"][0]["html"][:200]) for one in violations]
    assert page.evaluate(CONTRAST) >= LEAST_CONTRAST


# the labels of drawings, which axe does not look at: the least contrast of ink against the page
CONTRAST = """() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const words = [...document.querySelectorAll('figure:not(.wide) svg text')];
  const inks = words.map(one => light(getComputedStyle(one).fill));
  return Math.min(21, ...inks.map(ink => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)));
}"""


def test_the_check_of_width_can_fail(browser, tmp_path):
    file = tmp_path / "wide.html"
    file.write_text("<!doctype html><html lang=en><title>t</title><main><pre>" + "x" * 400 + "</pre></main>")
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") > 400
    page.close()


def test_the_check_of_axe_can_fail(browser, tmp_path):
    file = tmp_path / "bad.html"
    file.write_text("<!doctype html><html><p style='color:#ccc;background:#fff'>pale</p><img src=data:,></html>")
    page = browser.new_page()
    page.goto(file.as_uri())
    found = {one["id"] for one in axe.Axe().run(page).response["violations"]}
    assert {"color-contrast", "image-alt", "html-has-lang"} <= found
    page.close()
