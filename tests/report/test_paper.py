"""The report in a real browser: it fits a phone and a sheet of paper, and saves its charts as pictures."""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forecasting.report.page import Report, write

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser's driver, playwright, is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH; on Debian: apt install chromium")

WIDTHS = "[...document.querySelectorAll('.js-plotly-plot .main-svg:first-child')].map((svg) => svg.clientWidth)"


@pytest.fixture
def phone(content: Report, tmp_path: Path) -> Iterator[Any]:
    """The report on a screen of 390 pixels."""
    write(tmp_path / "report.html", content)
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_function("document.querySelectorAll('.cartesianlayer').length === 9")
        yield page
        browser.close()


def test_nothing_is_wider_than_a_phone(phone: Any) -> None:
    """Wide tables scroll in their card; the page itself does not scroll sideways."""
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert max(phone.evaluate(WIDTHS)) <= 390


def test_charts_fit_the_paper_while_they_are_printed(phone: Any) -> None:
    """All are as wide as a sheet, and as before afterwards; nobody prints buttons."""
    before = phone.evaluate(WIDTHS)
    phone.emulate_media(media="print")
    phone.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert set(phone.evaluate(WIDTHS)) == {640}
    assert not phone.locator(".save >> visible=true").count()
    phone.emulate_media(media="screen")
    phone.evaluate("dispatchEvent(new Event('afterprint'))")
    assert phone.evaluate(WIDTHS) == before


def test_a_chart_is_saved_as_a_picture_under_its_name(phone: Any, tmp_path: Path) -> None:
    """Twice as many pixels as on the screen, and a name that says what it shows."""
    button = phone.get_by_role("button", name="Save Error by size of series as PNG")
    with phone.expect_download() as saved:
        button.click()
    assert saved.value.suggested_filename == "buoy-Error-by-size-of-series.png"
    saved.value.save_as(tmp_path / "saved.png")
    picture = (tmp_path / "saved.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">2I", picture[16:24]) == (2 * phone.evaluate(WIDTHS)[6], 2 * 340)
