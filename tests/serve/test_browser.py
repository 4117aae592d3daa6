"""The page in a real browser: charts are drawn, keys and keyboards work, and nothing leaves the host."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import uvicorn

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.config.settings import ServeSettings, Settings
from forecasting.evaluation import baselines
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare
from forecasting.serve.app import create_app
from forecasting.storage import remarks
from forecasting.storage.remarks import Remark, Remarks
from forecasting.storage.store import Store

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser's driver, playwright, is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH; on Debian: apt install chromium")

VIEWS = ["/", "/accuracy", "/results", "/versions", "/upload"]
EVIL = "<img src=x onerror=alert(1)>"
EVIL_SERIES = '"></script><script>alert(1)</script>'

_REFUSED = "Failed to load resource: the server responded with a status of"

# Every text that is seen, with the contrast to what lies behind it, where it is less than 4.5 (3 for large text).
CONTRAST = """() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const over = (top, under) => Object.fromEntries(
    ["r", "g", "b"].map((k) => [k, top[k] * top.a + under[k] * (1 - top.a)]));
  const part = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ({ r, g, b }) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255 });
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(node.tagName)) continue;
    if (!node.checkVisibility() || node.closest(".unseen, .skip")) continue;
    const style = getComputedStyle(node);
    const back = behind(node);
    const ink = over(parse(node instanceof SVGElement ? style.fill : style.color), back);
    const [high, low] = [light(ink), light(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    if (ratio < (size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5))
      weak.push(`${walker.currentNode.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


class Watched:
    """A page of the browser, and all that it complained of or asked of other hosts."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.set_default_timeout(60_000)
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}") or dialog.dismiss())
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.complaints.append(f"asked {request.url}")

    def open(self, path: str) -> Any:
        """The page under that path, its charts drawn."""
        self.page.goto(self.url + path)
        return self.drawn()

    def drawn(self) -> Any:
        """The page when all charts are drawn."""
        sync_api.expect(self.page.locator("[data-chart]:not([data-drawn])")).to_have_count(0)
        return self.page


@contextmanager
def listening(home: Path, **settings: Any) -> Iterator[str]:
    """The service on a port of its own, in a thread."""
    serve = ServeSettings(**{"poll_seconds": 3600, "timeout_seconds": 60, **settings})
    app = create_app(Settings(home=home, tracking_uri=f"sqlite:///{home / 'mlflow.db'}"), serve)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", loop="asyncio", http="h11"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    sync_api.expect.set_options(timeout=60_000)
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def home(stocked: Path, tmp_path_factory: pytest.TempPathFactory, register: Any, write_bundle: Any) -> Path:
    """A home whose last run, which made version 3, left its results, remarks on series, and an alternative."""
    place = tmp_path_factory.mktemp("browser")
    copy = Path(shutil.copytree(stocked, place / "home"))
    register(copy, "buoy", write_bundle(place / "3", seed=3), "browser")
    registry = registry_of(copy)
    rule = {"rule": "beats_naive", "figure": 0.1, "bound": 0, "passed": True, "sentence": "wql is better by 10.0%"}
    board = [{"model": name, "wql": 0.5, "mae": 1.25, "coverage": 0.8} for name in ("stacked", "naive")]
    outcome = {"version": 1, "model": "stacked", "promoted": True, "fallback": False, "champion": 1}
    content = json.dumps(outcome | {"verdict": [rule, rule | {"passed": False}], "leaderboard": board})
    leave(registry, content)
    store, long = Store(copy), "a-series-with-a-long-name-and-no-reading-at-all"
    said = ((long, False, "left out of the last ingestion: no reading"), ("b", True, "stale: its last reading is old"))
    series = tuple(Remark(unique_id=name, forecast=has, reason=why) for name, has, why in said)
    remarks.keep(store.workspace, "buoy", Remarks(version=1, created=datetime(2026, 2, 1), series=series))  # noqa: DTZ001
    made = store.forecasts.read("buoy", unique_id="a")
    last = made[made["cutoff"] == made["cutoff"].max()]
    store.alternatives.keep("buoy", last.assign(scenario="heat wave", **{"q0.5": last["q0.5"] + 1}))
    return copy


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """The service without keys."""
    with listening(home) as address:
        yield address


@pytest.fixture
def watch(browser: Any) -> Iterator[Callable[..., Watched]]:
    """Opens pages in contexts of their own, and fails where any of them complained."""
    opened: list[tuple[Any, Watched]] = []

    def start(url: str, **options: Any) -> Watched:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        opened.append((context, Watched(context.new_page(), url)))
        return opened[-1][1]

    yield start
    for context, watched in opened:
        context.close()
        assert watched.complaints == []


def leave(registry: Registry, outcome: str) -> None:
    """Let the run of version 3 have found this."""
    run = registry.versions.get("buoy", 3).run_id
    with connect(registry.versions.tracking_uri) as client:
        client.log_text(run, outcome, "outcome.json")


def registry_of(home: Path) -> Registry:
    """The registry of a home."""
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home)


def test_choosing_a_series_and_a_vintage_draws_it(watch: Any, url: str) -> None:
    """Model, series and vintage are chosen from lists; each choice draws its own chart, which a table repeats."""
    page = watch(url).open("/?model=buoy")
    assert page.locator("h1").inner_text() == "a"
    assert page.locator("[data-chart] svg .scatterlayer .trace").count() == 4  # readings, two bounds, median

    page.get_by_label("Series").select_option("b")
    page.get_by_label("Forecast made").select_option(index=3)
    page.get_by_role("button", name="Show").click()
    sync_api.expect(page.locator("[data-drawn]")).to_have_count(1)

    assert page.locator("h1").inner_text() == "b"
    assert page.locator("[data-chart] svg .scatterlayer .trace").count() == 5  # and what came
    page.get_by_text("The numbers").click()
    assert page.get_by_role("table", name="Forecast of b").locator("tbody tr").count() == 4
    assert "is forecast to reach" in page.locator("[data-chart]").get_attribute("aria-label")


def test_keyboard_alone_leads_everywhere(watch: Any, url: str) -> None:
    """Skip link, navigation, choice, the numbers: all by keys, each with a visible focus."""
    page = watch(url).open("/?model=buoy")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        name = page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()")
        seen.append(name)
        assert outline != "none", name
        if name == "Series":
            page.keyboard.press("ArrowDown")
        if name == "Show":
            break
    assert seen == [
        *("Skip to the content", "Gatecast", "Forecast", "Accuracy", "Results", "Versions", "Upload"),
        *("Model", "Series", "Forecast made", "Show"),
    ]
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("h1")).to_have_text("b")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_readable(watch: Any, url: str, scheme: str) -> None:
    """In light and in dark, every text stands out from what is behind it."""
    watched = watch(url, color_scheme=scheme)
    for view in VIEWS:
        page = watched.open(f"{view}?model=buoy")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate(CONTRAST) == [], view
        light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(245, 246, 248)"
        assert light == (scheme == "light")


def test_charts_follow_the_colours_of_the_system(watch: Any, url: str, tmp_path: Path) -> None:
    """When the system turns dark the chart is drawn anew, and a picture of the page is another one."""
    page = watch(url, color_scheme="light").open("/?model=buoy")
    ink = "document.querySelector('[data-chart] .xtick text').style.fill"
    light, bright = page.evaluate(ink), page.screenshot(path=tmp_path / "light.png")

    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(before) => {ink} !== before", arg=light)

    assert page.screenshot(path=tmp_path / "dark.png") != bright


def test_phone_needs_no_sideways_scrolling(watch: Any, url: str) -> None:
    """At 360 pixels every view, with all its tables open, is as wide as the screen, and buttons are large enough."""
    watched = watch(url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for view in VIEWS:
        page = watched.open(f"{view}?model=buoy")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, view
        heights = page.eval_on_selector_all(
            "button, select, input:not([type=hidden])",
            "all => all.filter((one) => one.checkVisibility()).map((one) => one.offsetHeight)",
        )
        assert all(height >= 34 for height in heights), heights


def test_file_is_forecast_drawn_and_downloaded(
    watch: Any, url: str, tmp_path: Path, history: Callable[..., pd.DataFrame]
) -> None:
    """A chosen CSV becomes charts, a table and a file; a bad one the service's sentences."""
    history("x", "y", rows=20).to_csv(tmp_path / "good.csv", index=False)
    (tmp_path / "bad.csv").write_text("unique_id,ds,y\nx,yesterday,1\n")
    watched = watch(url)
    page = watched.open("/upload?model=buoy")

    page.get_by_label("CSV file").set_input_files(tmp_path / "bad.csv")
    page.get_by_role("button", name="Forecast").click()
    alert = page.get_by_role("alert")
    sync_api.expect(alert).to_contain_text("The request cannot be answered.ds must hold texts in ISO 8601")
    assert [text.partition(" (")[0] for text in watched.complaints] == [f"{_REFUSED} 422"]
    watched.complaints.clear()

    page.get_by_label("CSV file").set_input_files(tmp_path / "good.csv")
    page.get_by_label("Steps ahead").fill("3")
    page.get_by_role("button", name="Forecast").click()
    sync_api.expect(page.locator("[data-drawn]")).to_have_count(2)
    assert not alert.is_visible()
    assert page.locator("#answer tbody tr").count() == 6
    assert page.evaluate(CONTRAST) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    table = pd.read_csv(download.value.path())
    assert table["unique_id"].tolist() == ["x"] * 3 + ["y"] * 3
    assert {"q0.1", "q0.5", "q0.9"} <= set(table.columns)


@pytest.mark.parametrize(("width", "phone"), [(390, True), (1280, False)], ids=["phone", "desk"])
def test_alternatives_are_compared_side_by_side(
    watch: Any, url: str, tmp_path: Path, rich: tuple[pd.DataFrame, Job], width: int, *, phone: bool
) -> None:
    """One table chosen and two pasted as a spreadsheet copies them: three lines, three columns, no overflow."""
    table = rich[0][(rich[0]["unique_id"] == "a") & rich[0]["y"].notna()].tail(60)
    table.to_csv(tmp_path / "history.csv", index=False)
    stamps = pd.date_range(table["ds"].iloc[-1], periods=4, freq="h")[1:]
    tables = {name: pd.DataFrame({"ds": stamps, "f": f}) for name, f in (("base", 0.0), ("warm", 2.0), ("cold", -2.0))}
    tables["base"].to_csv(tmp_path / "base.csv", index=False)
    emulated = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if phone else {}
    page = watch(url, viewport={"width": width, "height": 844}, **emulated).open("/upload?model=farm")
    page.get_by_label("CSV file").set_input_files(tmp_path / "history.csv")
    page.get_by_text("Compare alternatives").click()
    page.get_by_role("button", name="Another alternative").click()
    page.get_by_label("Table (CSV)").nth(0).set_input_files(tmp_path / "base.csv")
    for place, name in enumerate(("warm", "cold"), 1):
        page.get_by_label("Name").nth(place).fill(name)
        page.get_by_label("or pasted rows").nth(place).fill(tables[name].to_csv(index=False, sep="\t"))
    page.screenshot(path=tmp_path / f"alternatives-{width}.png", full_page=True)
    assert (page.evaluate("document.documentElement.scrollWidth"), page.evaluate(BEYOND)) == (width, [])
    assert page.evaluate(CONTRAST) == []

    page.get_by_role("button", name="Forecast").click()
    sync_api.expect(page.locator("[data-drawn]")).to_have_count(1)
    head = page.locator("#answer thead th").all_text_contents()
    assert [name for name in head if "," not in name] == ["Series", "Step", "Time (UTC)", "base", "warm", "cold"]
    names = page.evaluate("document.querySelector('[data-drawn]').data.map((one) => one.name)")
    assert [names[0], *names[3:]] == ["Reading", "base", "warm", "cold"]
    page.screenshot(path=tmp_path / f"compared-{width}.png", full_page=True)
    assert (page.evaluate("document.documentElement.scrollWidth"), page.evaluate(BEYOND)) == (width, [])
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize(("width", "phone"), [(390, True), (1280, False)], ids=["phone", "desk"])
def test_stored_alternatives_and_remarks_fit_the_screen(
    watch: Any, url: str, home: Path, tmp_path: Path, width: int, *, phone: bool
) -> None:
    """A second line beside the stored forecast, and every series without a usual one in a table."""
    cutoff = Store(home).forecasts.read("buoy")["cutoff"].max()
    emulated = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if phone else {}
    watched = watch(url, viewport={"width": width, "height": 844}, **emulated)
    page = watched.open(f"/?model=buoy&series=a&vintage={quote(cutoff.isoformat() + '@1')}")
    page.get_by_text("2 series without a usual forecast").click()
    names = page.evaluate("document.querySelector('[data-drawn]').data.map((one) => one.name)")
    assert {"base", "heat wave"} <= set(names)
    page.screenshot(path=tmp_path / f"stored-{width}.png", full_page=True)
    assert (page.evaluate("document.documentElement.scrollWidth"), page.evaluate(BEYOND)) == (width, [])
    assert page.evaluate(CONTRAST) == []


@pytest.fixture(scope="module")
def wide(
    stocked: Path,
    tmp_path_factory: pytest.TempPathFactory,
    make_job: Callable[..., Job],
    make_table: Callable[..., pd.DataFrame],
    register: Any,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The service of a model with forty covariates of long names, and a table that it can forecast."""
    place, draw = tmp_path_factory.mktemp("wide"), np.random.default_rng(1)
    table = make_table({"a": draw.normal(10, 1, 150)})
    names = [f"covariate_{number:02}_of_the_weather_station_beside_the_river" for number in range(40)]
    table[names] = draw.normal(size=(150, 40))
    job = make_job({"past": names}, backtest={"windows": 6}, train={"validation": 20})
    data = prepare(table, job, folds(table, job)[0])
    bundle = baselines.fit("ridge", data, job, place / "bundle", origin=Origin())
    home = Path(shutil.copytree(stocked, place / "home"))
    registry_of(home).aliases.promote("wide", register(home, "wide", bundle, "wide"))
    with listening(home, names=("wide",)) as address:
        yield address, table


BEYOND = """() => [...document.querySelectorAll("main *")]
  .filter((one) => !one.closest("pre, .chart, table") && one.checkVisibility())
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize(("width", "phone"), [(390, True), (1280, False)], ids=["phone", "desk"])
def test_forty_covariates_are_mapped_and_nothing_overflows(
    watch: Any, wide: tuple[str, pd.DataFrame], tmp_path: Path, width: int, *, phone: bool
) -> None:
    """What is not known by its name is chosen, what is known is there, and every view is as wide as the screen."""
    url, table = wide
    table.rename(columns={"unique_id": "Ort", "ds": "Zeit", "y": "Last"}).assign(note="x").to_csv(
        tmp_path / "own.csv", index=False
    )
    emulated = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if phone else {}
    watched = watch(url, viewport={"width": width, "height": 844}, **emulated)
    page = watched.open("/upload?model=wide")
    assert (page.evaluate("document.documentElement.scrollWidth"), page.evaluate(BEYOND)) == (width, [])

    page.get_by_label("CSV file").set_input_files(tmp_path / "own.csv")
    sync_api.expect(page.locator("[data-column]")).to_have_count(43)
    found = page.eval_on_selector_all("[data-column]", "all => all.map((one) => one.selectedOptions[0].textContent)")
    assert found == ["the file is one series", "not in the file", "not in the file", *table.columns[3:]]
    for name, given in (("unique_id", "Ort"), ("ds", "Zeit"), ("y", "Last")):
        page.get_by_label(name, exact=True).select_option(label=given)
    page.screenshot(path=tmp_path / f"mapped-{width}.png", full_page=True)
    assert (page.evaluate("document.documentElement.scrollWidth"), page.evaluate(BEYOND)) == (width, [])
    assert page.evaluate(CONTRAST) == []

    page.get_by_role("button", name="Forecast").click()
    sync_api.expect(page.locator("[data-drawn]")).to_have_count(1)
    assert page.locator("#answer tbody tr").count() == 3
    page.screenshot(path=tmp_path / f"answered-{width}.png", full_page=True)
    assert (page.evaluate("document.documentElement.scrollWidth"), page.evaluate(BEYOND)) == (width, [])


def test_admin_promotes_and_rolls_back_with_a_key(watch: Any, home: Path, tmp_path: Path, make_keys: Any) -> None:
    """A page opens with a key that is typed in, moves the alias after a question, and forgets the key when told to."""
    setting, secrets = make_keys("read", "admin")
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    with listening(copy, keys=setting, names=("buoy",)) as url:
        watched = watch(url)
        page = watched.open("/versions")
        page.get_by_role("textbox", name="API key").fill("gc_wrong")
        page.get_by_role("button", name="Open").click()
        sync_api.expect(page.get_by_role("alert")).to_contain_text("Give a valid API key")
        page.get_by_role("textbox", name="API key").fill(secrets["admin"])
        page.keyboard.press("Enter")
        sync_api.expect(page.locator("h1")).to_have_text("Versions of buoy")

        page.get_by_role("button", name="Promote version 2").click()
        page.get_by_role("button", name="Cancel").click()
        assert registry_of(copy).versions.champion("buoy").version == 1
        page.get_by_role("button", name="Promote version 2").click()
        sync_api.expect(page.get_by_role("dialog")).to_contain_text("Make version 2 the champion of buoy?")
        page.get_by_role("button", name="Yes, do it").click()
        sync_api.expect(page.get_by_role("status")).to_have_text("Version 2 is the champion now.")
        sync_api.expect(page.locator(".about")).to_contain_text("version 2 answers")

        page.get_by_role("button", name="Roll back to version 1").click()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        sync_api.expect(page.get_by_role("status")).to_have_text("Version 1 is the champion again.")
        sync_api.expect(page.locator(".about")).to_contain_text("version 1 answers")
        assert registry_of(copy).versions.champion("buoy").version == 1

        page.get_by_role("link", name="Forecast").click()
        sync_api.expect(page.locator("[data-drawn]")).to_have_count(1)
        page.get_by_role("button", name="Forget the key").click()
        sync_api.expect(page.get_by_role("textbox", name="API key")).to_be_visible()
        assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
        watched.open("/versions")
        sync_api.expect(page.get_by_role("textbox", name="API key")).to_be_visible()


def test_names_with_markup_do_nothing(
    watch: Any, home: Path, tmp_path: Path, make_keys: Any, history: Callable[..., pd.DataFrame]
) -> None:
    """Series and candidates called like scripts are read as names: in the page, its charts and an uploaded file."""
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    table = history(EVIL_SERIES, EVIL, rows=20)
    Store(copy).observations.merge("buoy", table)
    table.to_csv(tmp_path / "evil.csv", index=False)
    rules = [{"rule": EVIL, "passed": False, "sentence": EVIL_SERIES}]
    outcome = {"version": 2, "model": EVIL, "promoted": False, "fallback": True, "champion": 2, "verdict": rules}
    content = json.dumps({**outcome, "leaderboard": [{"model": EVIL, EVIL: 1.0}]})
    leave(registry_of(copy), content)
    setting, secrets = make_keys("admin")
    with listening(copy, keys=setting, names=("buoy",)) as url:
        watched = watch(url)
        page = watched.open(f"/?series={quote(EVIL_SERIES)}")
        page.get_by_role("textbox", name="API key").fill(secrets["admin"])
        page.keyboard.press("Enter")
        sync_api.expect(page.locator("h1")).to_have_text(EVIL_SERIES)
        sync_api.expect(page.locator("[data-drawn]")).to_have_count(1)
        page.locator("[data-chart]").hover()
        watched.open(f"/?series={quote(EVIL)}&model=%3Cimg%20src=x%20onerror=alert(2)%3E")
        sync_api.expect(page.locator("main")).to_contain_text("no model of that name is served")
        assert [text.partition(" (")[0] for text in watched.complaints] == [f"{_REFUSED} 404"]
        watched.complaints.clear()
        watched.open("/results")
        sync_api.expect(page.locator("main")).to_contain_text(f"The best baseline, {EVIL}, went live")
        watched.open("/upload")
        page.get_by_label("CSV file").set_input_files(tmp_path / "evil.csv")
        page.get_by_role("button", name="Forecast").click()
        sync_api.expect(page.locator("#answer h3")).to_have_text([EVIL_SERIES, EVIL])
        sync_api.expect(page.locator("[data-drawn]")).to_have_count(2)
        assert page.locator("main img").count() == 0
