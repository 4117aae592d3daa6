"""Holidays and events, against days counted on a calendar; what a model needs of them is in its bundle."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.errors import ConfigError
from forecasting.evaluation import baselines
from forecasting.evaluation.leakage import audit
from forecasting.series.clean import clean
from forecasting.series.events import channel_names, channels, resolve
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare
from forecasting.storage.fingerprint import fingerprint

Jobs = Callable[..., Job]
Tables = Callable[..., pd.DataFrame]

FIRST, LAST = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-12-31")


def days(*texts: str) -> tuple[Any, ...]:
    """Dates of ISO texts."""
    return tuple(pd.Timestamp(text).date() for text in texts)


def values(stamps: pd.DatetimeIndex, dates: dict[str, tuple[Any, ...]], freq: str, **options: Any) -> list[list[float]]:
    """The channels of the stamps, with one day around."""
    found = channels(stamps.to_numpy(), dates, options.pop("around", 1), freq=freq, time_zone=options.get("time_zone"))
    return found.T.tolist()


def test_austrian_holidays_are_those_of_the_calendar() -> None:
    """All of 2024, and of the ten years after the last reading."""
    found = resolve(Series(freq="D", holidays="AT"), FIRST, LAST)["holiday"]
    assert [str(day) for day in found if day.year == 2024] == [
        *("2024-01-01", "2024-01-06", "2024-04-01", "2024-05-01", "2024-05-09", "2024-05-20", "2024-05-30"),
        *("2024-08-15", "2024-10-26", "2024-11-01", "2024-12-08", "2024-12-25", "2024-12-26"),
    ]
    assert found[-1].year == 2034


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    """Bavaria keeps Epiphany, Germany as a whole does not."""
    epiphany = days("2024-01-06")[0]
    assert epiphany in resolve(Series(freq="D", holidays="DE-BY"), FIRST, LAST)["holiday"]
    assert epiphany not in resolve(Series(freq="D", holidays="DE"), FIRST, LAST)["holiday"]


@pytest.mark.parametrize("region", ["XX", "US-ZZ"])
def test_an_unknown_region_is_named(region: str) -> None:
    """With what the package says of it."""
    with pytest.raises(ConfigError, match=rf"series\.holidays: {region} is unknown"):
        resolve(Series(freq="D", holidays=region), FIRST, LAST)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with training, serving does without."""
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ConfigError, match=r"install gatecast\[train\]"):
        resolve(Series(freq="D", holidays="AT"), FIRST, LAST)


def test_days_before_and_after_surround_a_run_of_days() -> None:
    """The two days of Christmas have one day before and one after."""
    stamps = pd.date_range("2024-12-23", "2024-12-28", freq="D")
    found = values(stamps, {"holiday": days("2024-12-25", "2024-12-26")}, "D")
    assert channel_names(["holiday"], 1) == ["holiday-1", "holiday", "holiday+1"]
    assert found == [[0, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]]


def test_hours_lie_in_the_day_of_the_local_clock() -> None:
    """New Year begins in Vienna an hour before it begins in UTC."""
    stamps = pd.date_range("2023-12-31 22:00", periods=26, freq="h")
    (found,) = values(stamps, {"holiday": days("2024-01-01")}, "h", around=0, time_zone="Europe/Vienna")
    assert found == [0, *[1] * 24, 0]


@pytest.mark.parametrize(
    ("freq", "stamps", "expected"),
    [
        ("W-SUN", ["2024-12-22", "2024-12-29", "2025-01-05"], [0, 2, 1]),
        ("ME", ["2024-11-30", "2024-12-31", "2025-01-31"], [0, 2, 1]),
        ("MS", ["2024-11-01", "2024-12-01", "2025-01-01"], [0, 2, 1]),
        ("7D", ["2024-12-24", "2024-12-31", "2025-01-07"], [0, 2, 1]),
        ("B", ["2024-12-24", "2024-12-25", "2025-01-01"], [0, 1, 1]),
    ],
)
def test_longer_steps_count_their_days(freq: str, stamps: list[str], expected: list[float]) -> None:
    """Weeks and months that end or begin at their stamp."""
    (found,) = values(
        pd.DatetimeIndex(stamps), {"holiday": days("2024-12-25", "2024-12-26", "2025-01-01")}, freq, around=0
    )
    assert found == expected


def test_events_of_a_file_have_their_names_and_spans(tmp_path: Path) -> None:
    """One that begins after the readings cannot be learned and has no channel; later days of a known one count."""
    path = tmp_path / "events.csv"
    path.write_text(
        "ds,name,until\n2024-03-01,sale,2024-03-03\n2025-03-01,sale,\n2025-06-01,fair,2025-06-02\n", encoding="utf-8"
    )
    found = resolve(Series(freq="D", events=str(path)), FIRST, LAST)
    assert found == {"event:sale": days("2024-03-01", "2024-03-02", "2024-03-03", "2025-03-01")}


def test_every_wrong_row_of_a_file_is_named(tmp_path: Path) -> None:
    """By its line; a file without its columns by what it has."""
    path = tmp_path / "events.csv"
    path.write_text("ds,name,until\n2024-03-01,a,\nsoon,b,\n2024-03-01,,\n2024-03-05,c,2024-03-01\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"3 row\(s\) .* line 3, 4, 5$"):
        resolve(Series(freq="D", events=str(path)), FIRST, LAST)
    path.write_text("date,name\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="lacks the column ds; it has date, name"):
        resolve(Series(freq="D", events=str(path)), FIRST, LAST)
    with pytest.raises(ConfigError, match="cannot read"):
        resolve(Series(freq="D", events=str(tmp_path / "none.csv")), FIRST, LAST)


@pytest.fixture
def shop(tmp_path: Path, make_table: Tables, make_job: Jobs) -> tuple[pd.DataFrame, Job, Path]:
    """A daily series that triples on sale, its job, and a ridge of it."""
    path = tmp_path / "events.csv"
    stamps = pd.date_range("2023-01-01", periods=600, freq="D")
    sales = stamps[7::23]
    path.write_text("ds,name\n" + "".join(f"{day.date()},sale\n" for day in sales), encoding="utf-8")
    y = np.where(stamps.isin(sales), 30.0, 10.0) + np.random.default_rng(1).normal(0, 0.1, 600)
    table = make_table({"shop": y}, "D", "2023-01-01")
    job = make_job(
        {"freq": "D", "events": str(path), "holidays": "AT"}, backtest={"windows": 30}, train={"validation": 60}
    )
    data = prepare(clean(table, job.series).table, job, folds(table, job)[0])
    return table, job, baselines.fit("ridge", data, job, tmp_path / "ridge", origin=Origin())


def test_a_bundle_forecasts_a_sale_without_file_and_package(
    shop: tuple[pd.DataFrame, Job, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The days are in the bundle; the day of the next sale is known to be high, the others are not."""
    table, job, bundle = shop
    monkeypatch.setitem(sys.modules, "holidays", None)
    Path(str(job.series.events)).unlink()
    sale = pd.date_range("2023-01-01", periods=600, freq="D")[7::23][-2]
    found = open_forecaster(bundle).forecast(table[table["ds"] < sale - pd.Timedelta(days=1)])
    ahead = found.set_index("ds")["q0.5"]
    assert ahead[sale] == pytest.approx(30, abs=3)
    assert ahead.drop(sale).to_numpy() == pytest.approx([10, 10], abs=3)
    assert open_bundle(bundle).spec.features.of_stamps[:3] == ("holiday-1", "holiday", "holiday+1")


def test_days_known_ahead_are_no_leak(shop: tuple[pd.DataFrame, Job, Path]) -> None:
    """Other readings after the first cutoff change nothing before it, and no forecast."""
    table, job, bundle = shop
    assert [finding for finding in audit(table, job, [bundle]) if finding.moved] == []


def test_only_days_within_the_horizon_move_a_forecast(shop: tuple[pd.DataFrame, Job, Path]) -> None:
    """A sale that is announced for the horizon moves it, one that lies behind it does not."""
    table, _, bundle = shop
    model = open_forecaster(bundle)
    end = table["ds"].max()
    before = model.forecast(table)

    def announced(after: int) -> pd.DataFrame:
        day = (end + pd.Timedelta(days=after)).date()
        spec = model.spec.model_copy(deep=True)
        spec.features.dates["event:sale"] = (*model.spec.features.dates["event:sale"], day)
        return type(model)(model.bundle._replace(spec=spec)).forecast(table)  # type: ignore[call-arg]

    horizon = model.spec.horizon
    assert announced(horizon + 2).equals(before)
    assert not announced(2).equals(before)


def test_other_days_are_other_data() -> None:
    """A run is found again by its data, of which the days are a part."""
    table = pd.DataFrame({"unique_id": ["a"], "ds": [FIRST], "y": [1.0]})
    assert fingerprint(table) == fingerprint(table, "")
    assert fingerprint(table, "one") != fingerprint(table, "other")


def test_regions_are_written_as_codes(make_job: Jobs) -> None:
    """A name of a country is answered with what is wanted."""
    with pytest.raises(ConfigError, match="must be a country such as AT"):
        make_job({"holidays": "Austria"})
    with pytest.raises(ConfigError, match="neither holidays nor events"):
        make_job({"days_around": 2})


def test_a_job_that_is_written_out_whole_is_the_same_job(make_job: Jobs) -> None:
    """Every default may be named: as a flow of a server hands a job on."""
    job = make_job({"freq": "D"})
    assert Job.model_validate(job.model_dump()) == job
