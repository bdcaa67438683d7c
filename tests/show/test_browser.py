"""Pages in a browser: they draw their pictures, complain of nothing, and ask for nothing from elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from forecache.record.trace import Trace
from forecache.show.commands import app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PRICES = ("--cost-per-miss", "2ms", "--price", "3.5/GiB-month")
DRAWN = ".scatterlayer .js-line, .barlayer .point path"
MOST_MILLISECONDS = 120_000  # a machine that is overloaded takes long for five megabytes of script
QUIET = "--disable-background-networking"


class Seen(NamedTuple):
    """What a browser tells of a page."""

    title: str
    text: str
    pictures: int
    lines: int
    areas: list[float]  # square pixels of each picture
    said: list[str]  # on the console, and errors
    asked: list[str]  # addresses besides the page itself


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium: make chromium installs it where apt can")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as running:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # which root may not use
        opened = running.chromium.launch(executable_path=chromium, args=[*sandbox, QUIET], timeout=MOST_MILLISECONDS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "small.parquet"
    keys = np.random.default_rng(0).zipf(1.3, 4_000) % 900
    Trace.from_columns(
        keys, time=np.arange(4_000) * 10, size=100 + keys, metadata={"time_unit": "ms"}, name="small"
    ).write(path)
    return path


def look(browser: Browser, page: Path) -> Seen:
    """Opens a page of our own."""
    said: list[str] = []
    asked: list[str] = []
    tab = browser.new_page()
    tab.set_default_timeout(MOST_MILLISECONDS)
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_selector(DRAWN, state="attached")
    boxes = [found.bounding_box() for found in tab.locator(".js-plotly-plot .main-svg:first-child").all()]
    found = Seen(
        tab.title(),
        tab.inner_text("body"),
        tab.locator(".js-plotly-plot").count(),
        tab.locator(DRAWN).count(),
        [box["width"] * box["height"] for box in boxes if box is not None],
        said,
        [address for address in asked if address != page.as_uri()],
    )
    tab.close()
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("command", "options", "pictures", "lines", "words"),
    [
        ("curve", ("--policies", "lru,min", "--weights", "size"), 1, 2, "hit ratio in %"),
        ("size", (*PRICES, "--today", "64KiB", "--policies", "lru"), 2, 2 + 3, "recommended"),
        ("plan", (*PRICES, "--memory", "64KiB", "--processes", "4", "--policies", "lru"), 1, 2 * 5, "money a month"),
    ],
)
def test_a_page_draws_its_pictures_and_asks_for_nothing(
    browser: Browser,
    file: Path,
    tmp_path: Path,
    command: str,
    options: tuple[str, ...],
    pictures: int,
    lines: int,
    words: str,
) -> None:
    page = tmp_path / "page.html"
    ended = CliRunner().invoke(app, [command, str(file), *options, "--html", str(page)])
    assert ended.exit_code == 0, ended.output
    seen = look(browser, page)
    assert (seen.said, seen.asked) == ([], [])
    assert seen.title
    assert words in seen.text
    assert seen.pictures == pictures
    assert seen.lines >= lines
    assert len(seen.areas) >= pictures
    assert min(seen.areas) > 100 * 100


def test_what_a_page_asks_for_and_says_is_noticed(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    drawn = '<svg class="scatterlayer"><path class="js-line" d="M0 0L9 9"/></svg>'
    page.write_text(
        f'<title>x</title><img src="http://127.0.0.1:9/x.png"><script>console.log("hm"); wrong()</script>{drawn}'
    )
    seen = look(browser, page)
    assert seen.asked == ["http://127.0.0.1:9/x.png"]
    assert any("hm" in line for line in seen.said)
    assert any("wrong" in line for line in seen.said)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("width", [360, 1280])
def test_a_page_fits_a_telephone_and_a_desk(browser: Browser, file: Path, tmp_path: Path, width: int) -> None:
    page = tmp_path / "page.html"
    ended = CliRunner().invoke(app, ["plan", str(file), *PRICES, "--memory", "64KiB", "--html", str(page)])
    assert ended.exit_code == 0, ended.output
    tab = browser.new_page(viewport={"width": width, "height": 800})
    tab.set_default_timeout(MOST_MILLISECONDS)
    tab.goto(page.as_uri())
    tab.wait_for_selector(DRAWN, state="attached")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    titles = tab.locator("h2").all_inner_texts()
    assert "Money a month, today and after one change" in titles, "not in the picture, where it would be cut off"
    tab.close()
