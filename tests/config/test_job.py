"""A job is read as a whole: what is wrong anywhere is said at once, with its place, what came, and what is valid."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from forecasting.config.job import Job, beginning_with, load_job, parse_job
from forecasting.errors import ConfigError

GOOD: dict[str, Any] = {
    "name": "job",
    "source": {"kind": "synthetic"},
    "series": {"freq": "h"},
    "window": {"context": 6, "horizon": 3},
}


def said(**sections: Any) -> list[str]:
    """The violations of a job that is good but for these sections."""
    with pytest.raises(ConfigError) as caught:
        parse_job({**GOOD, **sections})
    head, *lines = str(caught.value).splitlines()
    assert head == f"configuration has {len(lines)} violation{'s' if len(lines) > 1 else ''}:"
    return [line.removeprefix("  - ") for line in lines]


def test_no_section_hides_the_faults_of_another() -> None:
    """Keys, kinds, rules of a section and rules between sections are told together, each once."""
    found = said(
        name="Job 1",
        source={"kind": "fle", "path": "x.csv"},
        series={"freq": "hourlyy", "past": ["wind"], "lower": 3, "upper": 1, "calender": ["hour"]},
        window={"context": 6, "horizon": 4, "block": 2},
        model={"name": "deepar", "params": {"units": [0], "highway": 3}},
        head={"name": "quantile", "quantiles": [0.9, 0.1]},
        train={"epochs": "many", "init": "chmpion", "replay": 2},
        gate={"primary": "acuracy", "coverage": [0.9, 0.1]},
        schedule={"ingest": "5 25 * * *"},
        monitor={"window": 30},
        epochs=3,
    )
    assert [line.partition(": ")[0] for line in found] == [
        "name",
        "source.kind",
        "series.freq",
        "series.calender",
        "series.lower",
        "model.params.units.0",
        "model.params.highway",
        "head.quantiles",
        "train.epochs",
        "train.init",
        "train.replay",
        "gate.primary",
        "gate.coverage",
        "schedule.ingest",
        "epochs",
        "window.block",
        "window.block",
        "monitor.window",
    ]


def test_rules_that_read_a_wrong_key_wait_for_it() -> None:
    """Nothing is said of a horizon that is no number, but that; of the block, what does not depend on it."""
    found = said(
        series={"freq": "h", "past": ["wind"]},
        window={"context": 6, "horizon": "far", "block": 2},
        model={"name": "deepar"},
        monitor={"window": 20},
    )
    assert found == [
        "window.horizon: must be a whole number from 1 to 10,000, got 'far'",
        "window.block: deepar forecasts step by step, got 2; leave it out",
    ]
    assert said(series={"freq": "h", "lower": "low", "upper": 1, "transform": "log1p"}) == [
        "series.lower: must be a number, got 'low'"
    ]


def test_rules_between_sections_are_told_beside_a_wrong_key_of_the_same_section() -> None:
    """The frequency is wrong, the bounds are right, and counts need a lower one all the same."""
    counts = {"head": {"name": "negative_binomial"}, "model": "stacked"}
    found = said(series={"freq": "x", "integer": True, "scale": "none"}, **counts)
    assert [line.partition(": ")[0] for line in found] == ["series.freq", "series.lower"]


def test_what_is_left_out_beside_a_wrong_key_is_not_taken_as_written() -> None:
    """A default is nobody's wish: rules that ask whether a key was written have nothing to say."""
    assert [line.partition(": ")[0] for line in said(series={"freq": "bh"})] == ["series.freq"]


def test_two_faults_of_one_key_are_both_told() -> None:
    """The last one does not take the place of the first; nor does one of a key that of its section."""
    series = {"freq": "h", "lower": -2, "upper": -3, "transform": "log1p", "past": ["a"], "static": ["a"], "gaps": "no"}
    assert [line.partition(": ")[0] for line in said(series=series)] == [
        *("series.gaps", "series", "series.lower", "series.lower")
    ]


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"window": {"context": 5}}, "window.horizon: this key is required, for example horizon: 12"),
        (
            {"window": {"contxt": 5, "context": 5, "horizon": 3}},
            "window.contxt: unknown key (did you mean context?); valid keys: context, horizon, block, stride",
        ),
        ({"source": {}}, "source.kind: this key is required; it is one of file, sql, frames, synthetic, text"),
        ({"source": {"kind": "file"}}, "source.path: this key is required, for example path: data/glucose/*.csv.gz"),
        (
            {"source": {"kind": "fil", "path": "x"}},
            "source.kind: must be one of file, sql, frames, synthetic, text, got 'fil' (did you mean file?)",
        ),
        (
            {"source": {"kind": "file", "path": "x", "columns": {"lyout": "wide"}}},
            "source.columns.lyout: unknown key (did you mean layout?); valid keys: layout, ds, y, unique_id",
        ),
        (
            {"source": {"kind": "file", "path": [1, "a"]}},
            "source.path: must be text or a list of texts, got [1, 'a']",
        ),
        (
            {"source": {"kind": "file", "path": "x", "missing": [-200, {}]}},
            "source.missing.1: must be text or a number, got an empty section",
        ),
        (
            {"source": {"kind": "frames", "path": "x", "rows": [1]}},
            "source.rows: must be a list of 2, each a whole number, got [1]",
        ),
        (
            {"source": {"kind": "file", "path": "x", "time_zone": "Mars"}},
            "source.time_zone: 'Mars' is not an IANA time zone, such as UTC or Europe/Berlin",
        ),
        (
            {"head": {"name": "gauss"}},
            "head.name: must be one of quantile, normal, student_t, negative_binomial, categorical, got 'gauss'",
        ),
        (
            {"head": {"name": "categorical", "quantiles": [0.5]}, "model": {"name": "in_step"}},
            "head.quantiles: unknown key; valid keys: name",
        ),
        ({"head": {"quantiles": [0.1, 0.9]}}, "head.quantiles: must include the median, 0.5, got [0.1, 0.9]"),
        (
            {"series": 3},
            "series: must be a section with the keys freq, season, past, future, static, categorical, calendar,",
        ),
        (
            {"model": "stackd"},
            "model.name: must be one of auto, stacked, seq2seq, deepar, segrnn, conv_lstm, in_step, got 'stackd' (did",
        ),
        ({"forecast": {"levels": [80, 100]}}, "forecast.levels.1: must be a whole number from 1 to 99, got 100"),
        (
            {"train": {"validation": 1.5}},
            "train.validation: must be a share between 0 and 1, or a whole number of steps, got 1.5",
        ),
        (
            {"gate": {"coverage": [0.9, 0.1]}},
            "gate.coverage: must be [low, high] with 0 <= low < high <= 1, got [0.9, 0.1]",
        ),
        (
            {"series": {"freq": "h", "past": ["a"], "future": ["a"]}},
            "series: a must be in only one of past, future, and static",
        ),
        (
            {"model": {"name": "in_step"}, "head": {"name": "categorical"}, "train": {"devices": 2}},
            "train.devices: a network of symbols carries its states on one device, got 2; leave it out",
        ),
        ({"series": {"freq": "h", "categorical": ["a"]}}, "series.categorical: a is not in past, future, or static"),
        (
            {"series": {"freq": "h", "places": ["a"]}},
            "series.places: this orders a line, but layout is none; leave it out",
        ),
        ({"series": {"freq": "h", "places": ["a", "b", "a"]}}, "series.places: names a more than once"),
        (
            {"series": {"freq": "h", "transform": "log1p"}},
            "series.lower: the transform log1p needs a bound above -1, for example 0, got none",
        ),
    ],
)
def test_violation_says_what_came_and_what_is_valid(sections: dict[str, Any], sentence: str) -> None:
    """Its place first; what is near, where there is a name that is."""
    assert [line for line in said(**sections) if line.startswith(sentence)]


TRUTH = 'YAML reads yes, no, on, and off as true or false: put the word into quotes, as in "no"'
DATE = "YAML reads this as a date: put it into quotes, as in"
NUMBER = "YAML reads this as a number: put it into quotes, as in"


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ("series: {freq: no}", f"series.freq: must be text, got false; {TRUTH}"),
        ("series: {freq: h, transform: off}", f"series.transform: must be one of none, log, log1p, got false; {TRUTH}"),
        ("series: {freq: h, past: [no]}", f"series.past.0: must be text, got false; {TRUTH}"),
        ("name: on", f"name: must be text, got true; {TRUTH}"),
        ("name: 2024", f'name: must be text, got 2024; {NUMBER} "2024"'),
        ("series: {freq: h, start: 2024-03-31}", f'series.start: must be text, got 2024-03-31; {DATE} "2024-03-31"'),
        ("series: {freq: h, end: 2024-03-31 12:00:00}", f'got 2024-03-31 12:00:00; {DATE} "2024-03-31 12:00:00"'),
        ("source: {kind: file, path: 2024-03-31}", f"must be text or a list of texts, got 2024-03-31; {DATE}"),
        ("source: {kind: no}", f"one of file, sql, frames, synthetic, text, got false; {TRUTH}"),
        ("series: {freq: h, max_gap: none}", "got 'none'; to set nothing, leave the key out or write null"),
        ("series: {freq: h, gaps:}", "got nothing; write a value, or leave the key out"),
        ("train:", "got nothing; write a value, or leave the key out"),
        ("train: {epochs: yes}", "train.epochs: must be a whole number of at least 1, got true"),
        ("train: {learning_rate: on}", "train.learning_rate: must be a number above 0, got true"),
        ("forecast: {levels: [yes]}", "forecast.levels: must be a list of whole numbers from 1 to 99, got [true]"),
        ("on: 3", "true: unknown key; YAML reads a word such as on as true, unless it is in quotes; valid keys:"),
    ],
)
def test_what_yaml_makes_of_words_is_explained(tmp_path: Path, sections: str, sentence: str) -> None:
    """Words, dates and numbers without quotes, where text or another number was meant; and nothing at all."""
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in GOOD.items() if f"{key}:" not in sections}) + sections)
    with pytest.raises(ConfigError) as caught:
        load_job(path)
    head, *lines = str(caught.value).splitlines()
    assert head.startswith(f"{path} has ")
    assert [line for line in lines if sentence in line]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"head": {"name": "categorical"}, "series": 3},
        {"head": {"name": "categorical"}, "series": {"categorical": 3}, "gate": 5},
        {"head": {"name": ["categorical"]}, "series": [], "model": {"name": {}}},
        {"model": {"name": "stacked", "params": None}, "window": {"horizon": {}}},
        {1: 2, None: 3, "series": {1: 2}},
        {"source": {"kind": "file", "path": datetime.date(2024, 3, 31), "columns": "wide"}},
        {"model": {"params": {"cell": ["gru"], "cell_options": 3}}},
    ],
)
def test_any_content_is_a_job_or_a_list_of_violations(content: dict[Any, Any]) -> None:
    """Nothing that YAML can hold is answered with a traceback."""
    with pytest.raises(ConfigError, match="violation"):
        parse_job(content)


def test_number_that_yaml_takes_for_text_is_read(tmp_path: Path) -> None:
    """1e-3 is text for YAML 1.1, and clear to everyone else."""
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(GOOD) + "train: {learning_rate: 1e-3}")
    assert load_job(path).train.learning_rate == 0.001


def test_models_of_pydantic_raise_the_same_sentences() -> None:
    """Whoever validates a job without `parse_job`, such as a server of flows, tells the same."""
    with pytest.raises(ValidationError) as caught:
        Job.model_validate({**GOOD, "window": {"context": 6, "horizon": 3, "block": 4}, "model": {"name": "deepar"}})
    told = {".".join(map(str, item["loc"])): item["msg"] for item in caught.value.errors()}
    assert told["window.block"] == "deepar forecasts step by step, got 4; leave it out"
    assert len(caught.value.errors()) == 2


def test_job_survives_its_way_through_json(make_job: Callable[..., Job]) -> None:
    """All of it, or what was written alone; so it comes back from a database or a server."""
    params = {
        "cell": "conv_lstm_peephole",
        "cell_options": {"kernel": 5},
        "units": [4, 3],
        "bidirectional": [True, False],
    }
    symbols = {"model": {"name": "in_step"}, "head": {"name": "categorical"}}
    for job in (
        make_job(),
        make_job(model={"params": params}),
        make_job(**symbols),
        make_job(schedule={"batch": "5 * * * *"}),
    ):
        whole = json.loads(json.dumps(job.model_dump(mode="json")))
        assert parse_job(whole) == job
        assert parse_job(job.model_dump(mode="json", exclude_unset=True)) == job
        assert Job.model_validate(job.model_dump()) == job


def test_content_of_a_job_is_that_of_its_parameters(make_job: Callable[..., Job]) -> None:
    """A default that is written and one that is left out are the same job; another value is another."""
    written = make_job(model={"name": "stacked", "params": {"dropout": 0.0, "cell": "lstm"}})
    assert written.result_content == make_job().result_content
    assert make_job(model={"params": {"dropout": 0.1}}).result_content != make_job().result_content
    assert make_job().result_content["model"]["params"]["units"] == [64]


def test_other_first_weights_are_checked(make_job: Callable[..., Job]) -> None:
    """As if they stood in the file."""
    job = make_job(model={"params": {"units": [4]}})
    assert beginning_with(job, "head").train.init == "head"
    assert beginning_with(job, "head").model == job.model
    with pytest.raises(
        ConfigError, match=r"--init has 1 violation:\n  - train\.init: must be one of scratch, champion"
    ):
        beginning_with(job, "best")
