"""The report is one offline file that shows what it was given, whatever the names hold."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from forecasting.report import figures
from forecasting.report.page import Report, write
from forecasting.report.texts import Text

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags, visible text and tables; fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.cells: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append((dict(attrs).get("class") or "", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)
        if self.open and self.open[-1] == "td":
            self.cells[-1] = (self.cells[-1][0], self.cells[-1][1] + data)


def read(path: Path) -> Reader:
    """The parsed page."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def test_page_needs_nothing_from_outside(content: Report, tmp_path: Path) -> None:
    """Well formed, readable on a phone, in light and dark; no tag and no style refers to another file."""
    write(tmp_path / "report.html", content)
    reader = read(tmp_path / "report.html")

    for tag, attributes in reader.tags:
        assert not {"src", "href", "srcset", "action"} & set(attributes), tag
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in reader.tags


def test_verdict_shows_every_rule_with_figure_bound_and_mark(content: Report, tmp_path: Path) -> None:
    """The banner says what happened; a rule without a figure shows a dash, never nan."""
    write(tmp_path / "report.html", content)
    write(tmp_path / "promoted.html", replace(content, promoted=True, summary="version 3"))
    cells = read(tmp_path / "report.html").cells

    assert "Refused: stacked does not beat naive" in "".join(read(tmp_path / "report.html").text)
    assert "Promoted: version 3" in "".join(read(tmp_path / "promoted.html").text)
    shown = [text for _, text in cells[:10]]
    assert shown[:5] == ["finite", "✓ passed", "all finite", "–", "0"]
    assert shown[5:] == ["beats_naive", "✗ failed", "worse than naive", "-0.0123", "0"]
    assert "nan" not in "".join(text.lower() for _, text in cells)


def test_leaderboard_marks_the_best_of_each_column(content: Report, tmp_path: Path) -> None:
    """Small errors, the coverage nearest to nominal and the bias nearest to zero; the primary metric comes first."""
    write(tmp_path / "report.html", content)
    rows = read(tmp_path / "report.html").cells[10:20]

    assert [text for _, text in rows] == ["stacked", "0.2", "3", "0.9", "0.5", "naive", "0.3", "1", "0.72", "-0.1"]
    assert [text for kind, text in rows if "best" in kind.split()] == ["0.2", "1", "0.72", "-0.1"]


def test_names_are_escaped_everywhere(content: Report, tmp_path: Path) -> None:
    """Markup in a job, a series, a sentence or the configuration stays text and breaks no script."""
    evil = "</script><script>alert(1)</script>&\"'"
    spoilt = replace(
        content,
        job=evil,
        summary=evil,
        facts={evil: evil, "data version": evil},
        config=evil,
        history=content.history.assign(unique_id=evil),
        forecasts=content.forecasts.assign(unique_id=evil),
        examples=content.examples.assign(unique_id=evil),
        texts=[Text(evil, evil, evil)],
        verdict=content.verdict.assign(sentence=evil, rule=evil),
        leaderboard=content.leaderboard.assign(model=[evil, "naive"]),
        by_step=content.by_step.replace("stacked", evil),
        validation=content.validation.assign(ids=[(evil, evil)]),
        decisions=content.decisions.assign(decision=evil),
    )
    write(tmp_path / "plain.html", content)
    write(tmp_path / "report.html", spoilt)

    tags = [tag for tag, _ in read(tmp_path / "report.html").tags]
    assert tags == [tag for tag, _ in read(tmp_path / "plain.html").tags]
    assert "<script>alert(1)" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_empty_tables_leave_their_sections_out(content: Report, tmp_path: Path) -> None:
    """A baseline has no curves, a refused input no forecasts: the page still stands."""
    nothing = pd.DataFrame()
    bare = Report("buoy", True, "first model", {}, nothing, nothing, nothing, nothing)
    write(tmp_path / "bare.html", bare)
    write(tmp_path / "report.html", content)

    headings = re.findall("<h2>(.*?)</h2>", (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert re.findall("<h2>(.*?)</h2>", (tmp_path / "bare.html").read_text(encoding="utf-8")) == []
    assert headings == [
        "Continuations",
        "Forecasts",
        "Leaderboard",
        "Step by step",
        "Calibration",
        "Worst series",
        "Large and small series",
        "Backtest examples",
        "What it looks at",
        "What its gates do",
        "Training",
        "Data quality",
        "Input",
    ]


def test_generated_text_stands_apart_from_its_prompt(content: Report, tmp_path: Path) -> None:
    """The text as it is, white space included; the prompt is gray."""
    write(tmp_path / "report.html", replace(content, texts=[Text("hamlet", "to be\n  or ", "not to be\n")]))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<pre><span class="soft">to be\n  or </span>not to be\n</pre>' in page


def test_at_most_twelve_panels_are_drawn_and_the_rest_is_counted(content: Report, tmp_path: Path) -> None:
    """Of thirty series twelve are drawn; the page says how many are not."""
    many = pd.concat([content.forecasts.assign(unique_id=f"s{number:02}") for number in range(30)])
    write(tmp_path / "report.html", replace(content, forecasts=many))
    reader = read(tmp_path / "report.html")

    drawn = [attributes["id"] for _, attributes in reader.tags if "plotly-graph-div" in (attributes.get("class") or "")]
    assert sum(str(name).startswith("forecasts-") for name in drawn) == 12
    assert "18 more are stored but not drawn." in "".join(reader.text)


def test_failed_write_leaves_the_old_report(content: Report, tmp_path: Path) -> None:
    """What cannot be drawn raises, and neither replaces the old page nor leaves half of a new one."""
    write(tmp_path / "report.html", content)
    before = (tmp_path / "report.html").read_bytes()

    with pytest.raises(KeyError):
        write(tmp_path / "report.html", replace(content, job="other", leaderboard=pd.DataFrame({"wql": [1.0]})))

    assert (tmp_path / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]


def test_forecast_figure_shows_the_readings_around_its_cutoff(content: Report) -> None:
    """Readings before the cutoff, those of the horizon, none after it, and none of another series."""
    other = content.history.assign(unique_id="south", y=99.0)
    figure = figures.forecast(pd.concat([content.history, other]), content.examples)
    lines = {line.name: line for line in figure.data}
    shown = pd.Series(lines["readings"].x)

    assert shown.max() == content.examples["ds"].max()
    assert shown.min() == content.history["ds"][101 - 60]
    assert max(lines["readings"].y) <= 1
    assert list(lines["forecast"].y) == [2.0, 2.5, 3.0]
    assert list(lines["q0.9"].y) == [4.0, 5.0, 6.0]
    assert lines["q0.1"].fill == "tonexty"


def test_charts_are_drawn_in_a_real_browser(content: Report, tmp_path: Path) -> None:
    """Chromium, without a network, draws every chart of the page."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("install Chromium to look at the report in a browser")
    write(tmp_path / "report.html", content)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=5000"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "report.html").as_uri()], capture_output=True, text=True, timeout=120, check=True
    )

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('class="plotly-graph-div"') == 9
    assert done.stdout.count('class="cartesianlayer"') == 9


def test_reach_is_a_bar_of_each_lag_with_advice_and_members(content: Report, tmp_path: Path) -> None:
    """Shares of all weight that add up to one, the memory horizon as a line, the heaviest member first."""
    assert content.reach is not None
    figure = figures.reach(content.reach)
    assert [bar.name for bar in figure.data] == ["y", "wind"]
    assert list(figure.data[0].x) == list(range(1, 13))
    assert list(figure.data[0].y[:4]) == pytest.approx([0.3125, 0.25, 0.1875, 0.0])
    assert sum(sum(bar.y) for bar in figure.data) == pytest.approx(1.0)
    assert figure.layout.shapes[0].x0 == 3.5

    write(tmp_path / "report.html", content)
    page = read(tmp_path / "report.html")
    assert "The ensemble looks back 3 of 12 steps; 4 would do." in "".join(page.text)
    cells = [text for _, text in page.cells]
    first = cells.index("ridge 0.75")
    assert cells[first : first + 8] == ["ridge 0.75", "0.75", "3", "12", "ridge 0.25", "0.25", "3", "12"]


def test_calibration_is_a_line_per_model_beside_where_the_actuals_fell(content: Report) -> None:
    """Between the shares below and at or below, with a bar where they differ; neighbors' differences add up to one."""
    assert content.errors is not None
    quantiles = content.errors.quantiles
    lines = figures.calibration(quantiles).data
    assert [line.name for line in lines] == ["stacked", "naive"]
    assert list(lines[0].y) == pytest.approx([0.2, 0.5, 0.85])
    assert list(lines[0].error_y.array) == pytest.approx([0.0, 0.1, 0.0])
    assert lines[1].error_y.array is None

    stacked, naive, nominal = figures.spread(quantiles).data
    assert list(stacked.x) == ["below 0.1", "0.1 to 0.5", "0.5 to 0.9", "above 0.9"]
    assert list(stacked.y) == pytest.approx([0.2, 0.3, 0.35, 0.15])
    assert list(naive.y) == list(nominal.y) == pytest.approx([0.1, 0.4, 0.4, 0.1])


def test_errors_name_the_worst_series_and_the_sizes(content: Report, tmp_path: Path) -> None:
    """Shares in percent, both metrics, the difference; series left out or without a value are counted."""
    write(tmp_path / "report.html", content)
    page = read(tmp_path / "report.html")
    said, cells = "".join(page.text), [text for _, text in page.cells]

    first = cells.index("west")
    assert cells[first : first + 10] == ["west", "25", "3", "2", "50", "east", "50", "0.5", "1", "-50"]
    assert "1 of 5 series are forecast worse by stacked than by naive, the best baseline. 1 have no wql" in said
    assert "Here are the 2 worst, by wql" in said
    first = cells.index("1 to 2")
    assert cells[first : first + 6] == ["1 to 2", "2", "20", "0.3", "0.2", "50"]
    assert cells[first + 6 : first + 12] == ["20 to 30.5", "3", "80", "0.1", "0.2", "-50"]
    assert "2 series without an actual are left out." in said
    assert "stacked: 65% inside the 80 % interval." in said


def test_what_is_noted_stands_beneath_the_verdict(content: Report, tmp_path: Path) -> None:
    """Every sentence, and every series without a forecast with its reason; without any, no section."""
    remarks = pd.DataFrame({"unique_id": ["hole"], "forecast": [False], "reason": ["it lacks <temp>"]})
    write(tmp_path / "noted.html", replace(content, notes=["one of two series has no forecast"], remarks=remarks))
    said = " ".join(read(tmp_path / "noted.html").text)
    assert "one of two series has no forecast" in said
    assert "it lacks <temp>" in said
    write(tmp_path / "plain.html", content)
    assert "Series without a forecast" not in (tmp_path / "plain.html").read_text(encoding="utf-8")
