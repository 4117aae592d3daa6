"""What the sections of a job have against each other, and what not."""

from collections.abc import Callable
from typing import Any

import pytest

from forecasting.config.job import Job
from forecasting.config.rules import RULES
from forecasting.errors import ConfigError

COUNTS: dict[str, Any] = {"integer": True, "lower": 0, "scale": "none"}
SCALED = (
    "series.scale: the head negative_binomial needs none, since scaled or transformed values are no longer counts,"
    " got standard"
)
CANNOT_ROLL = (
    "window.block: to continue after 2 of 4 steps, a network needs later values of wind, known only up to the cutoff;"
    " leave block out, or leave them out of series.past"
)
TOO_SHORT = (
    "monitor.window: 53 steps are too few to renew the intervals of forecasts of 4 steps from; set 54 or more, or leave"
    " it out"
)
NO_CYCLE = "model.params.cycle: nothing is known ahead to learn a cycle from; set series.calendar, or leave it out"
FRAMES: dict[str, Any] = {"model": {"name": "conv_lstm"}}
SYMBOLS: dict[str, Any] = {"model": {"name": "in_step"}, "head": {"name": "categorical"}}


@pytest.fixture
def said(make_job: Callable[..., Job]) -> Callable[..., list[str]]:
    """The violations of a job, without their head."""

    def call(series: dict[str, Any] | None = None, **sections: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            make_job(series, **sections)
        return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]

    return call


@pytest.mark.parametrize("head", ["quantile", "normal", "student_t"])
@pytest.mark.parametrize("series", [{}, COUNTS, {"transform": "log1p", "lower": 0, "scale": "robust"}])
def test_numbers_of_any_kind_suit_the_other_heads(
    head: str, series: dict[str, Any], make_job: Callable[..., Job]
) -> None:
    """Scaled, transformed or neither."""
    assert make_job(series, head={"name": head}).head.name == head


def test_counts_as_they_are_suit_the_negative_binomial(make_job: Callable[..., Job]) -> None:
    """Whole, never negative, neither scaled nor transformed."""
    make_job(COUNTS, head={"name": "negative_binomial"})
    make_job({**COUNTS, "lower": 1}, head={"name": "negative_binomial"})


@pytest.mark.parametrize(
    ("series", "sentences"),
    [
        (
            {},
            [
                "series.integer: the head negative_binomial needs true, since it counts whole numbers, got false",
                "series.lower: the head negative_binomial needs 0 or more, since counts are not negative, got none",
                SCALED,
            ],
        ),
        ({**COUNTS, "lower": -1}, ["series.lower: the head negative_binomial needs 0 or more, since counts are not"]),
        (
            {**COUNTS, "transform": "log1p"},
            ["series.transform: the head negative_binomial needs none, since"],
        ),
        ({**COUNTS, "integer": False}, ["series.integer: the head negative_binomial needs true, since it counts"]),
    ],
)
def test_anything_but_counts_is_refused_with_all_reasons(
    series: dict[str, Any], sentences: list[str], said: Callable[..., list[str]]
) -> None:
    """One sentence for every setting that does not fit: what it is, and what it must be."""
    found = said(series, head={"name": "negative_binomial"})
    assert [line[: len(sentence)] for line, sentence in zip(found, sentences, strict=True)] == sentences


def test_what_is_left_out_in_a_job_of_symbols_fits_them(make_job: Callable[..., Job]) -> None:
    """Labels, gaps, metric and baselines; what is written stays as it is."""
    job = make_job(**SYMBOLS)
    assert (job.series.categorical, job.series.gaps) == (("y",), "refuse")
    assert (job.gate.primary, job.gate.baselines) == ("nats", ("unigram", "bigram", "trigram"))
    job = make_job({"categorical": ["y"]}, gate={"baselines": ["bigram"], "primary": "bits"}, **SYMBOLS)
    assert (job.series.categorical, job.gate.primary, job.gate.baselines) == (("y",), "bits", ("bigram",))


@pytest.mark.parametrize(
    ("series", "sections", "sentences"),
    [
        pytest.param(
            {},
            {"head": {"name": "categorical"}, "train": {"windows_per_epoch": 5, "epochs": 2}},
            [
                "train.windows_per_epoch: sequences of symbols are read whole, got 5; leave it out",
                "model.name: the head categorical needs in_step, the network of symbols, got stacked",
            ],
            id="symbols with another network",
        ),
        pytest.param(
            {"past": ["p"], "lower": 0, "gaps": "fill", "duplicates": "sum", "calendar": ["hour"], "layout": "line"},
            SYMBOLS,
            [
                "model.name: in_step reads single series, not a line or a grid; conv_lstm and stacked can",
                "series.past: this is for numbers, but the head is categorical; leave it out",
                "series.calendar: this is for numbers, but the head is categorical; leave it out",
                "series.lower: this is for numbers, but the head is categorical; leave it out",
                "series.layout: this is for numbers, but the head is categorical; leave it out",
                "series.gaps: symbols need refuse, got fill; leave it out",
                "series.duplicates: symbols need first, last, or refuse, got sum",
            ],
            id="symbols with settings of numbers",
        ),
        pytest.param(
            {"categorical": ["y"]},
            {"model": {"name": "in_step"}},
            [
                "head.name: series.categorical names y, so the head must be categorical, got quantile",
                "head.name: the network in_step forecasts symbols and needs the head categorical, got quantile",
            ],
            id="labels without their head",
        ),
        pytest.param(
            {},
            {**SYMBOLS, "train": {"final_fit": True, "replay": 0.5}, "schedule": {"monitor": "5 * * * *"}},
            [
                "train.replay: symbols and layouts are read whole, got 0.5; leave it out",
                "train.final_fit: a network of symbols has no final fit; leave it out",
                "schedule.monitor: forecasts of symbols are not monitored; leave it out",
            ],
            id="a loop of symbols",
        ),
        pytest.param(
            {},
            {**SYMBOLS, "gate": {"primary": "mae", "baselines": ["naive", "bigram", "ridge"]}},
            [
                "gate.primary: the metrics of symbols are nats, bits, got mae",
                "gate.baselines: the baselines of symbols are unigram, bigram, trigram, got naive, ridge",
            ],
            id="symbols judged as numbers",
        ),
        pytest.param(
            {},
            {"gate": {"primary": "nats", "baselines": ["bigram", "drift"]}},
            [
                "gate.primary: the metrics of numbers are wql, mae, mse, rmse, mase, rmsse, smape, crps, got nats",
                "gate.baselines: the baselines of numbers are naive, seasonal_naive, drift, ridge, got bigram",
            ],
            id="numbers judged as symbols",
        ),
        pytest.param(
            {"past": ["wind"]},
            {"window": {"context": 6, "horizon": 4, "block": 2}},
            [CANNOT_ROLL],
            id="a block that cannot roll",
        ),
        pytest.param(
            {},
            {"window": {"context": 6, "horizon": 3, "block": 2}, "model": {"name": "deepar"}},
            ["window.block: deepar forecasts step by step, got 2; leave it out"],
            id="a block of a network that goes step by step",
        ),
        pytest.param(
            {"layout": "line"},
            {
                "window": {"context": 6, "horizon": 3, "block": 2},
                "model": {"name": "conv_lstm"},
                "train": {"replay": 0},
            },
            [
                "window.block: it is for single series, but series.layout is line; leave it out",
                "train.replay: symbols and layouts are read whole, got 0.0; leave it out",
            ],
            id="a line as single series",
        ),
        pytest.param(
            {"layout": "grid", "static": ["soil", "area"], "categorical": ["soil"]},
            {"model": {"name": "segrnn"}},
            [
                "model.name: segrnn reads single series, not a line or a grid; conv_lstm and stacked can",
                "series.categorical: a grid takes static numbers, not labels, got soil",
            ],
            id="a grid with labels and a network of single series",
        ),
        pytest.param(
            {"layout": "grid", "calendar": ["hour"]},
            {"model": {"params": {"highway": 9, "cycle": 4}}},
            [
                "model.params.highway: must be at most the context of 6 steps, got 9",
                "model.params.highway: must be 0 on a line or a grid, got 9",
                "model.params.cycle: must be 0 on a line or a grid, got 4",
                "model.params.cell: lstm cannot read a line or a grid; conv_lstm and conv_lstm_peephole can",
            ],
            id="a grid with a highway, a cycle, and another cell",
        ),
        pytest.param(
            {},
            {"model": {"params": {"cycle": 4}}},
            [NO_CYCLE],
            id="a cycle without a calendar",
        ),
        pytest.param(
            {},
            {"window": {"context": 1, "horizon": 3}, "model": {"name": "deepar"}},
            ["model.name: deepar needs a context of at least 2 steps, got 1"],
            id="a context without a step before",
        ),
        pytest.param(
            {"static": ["kind", "area"], "categorical": ["kind"]},
            {"forecast": {"calibrate": {"by": "area"}}},
            ["forecast.calibrate.by: must be one of all, series, kind, or another static label, got 'area'"],
            id="residuals by a number",
        ),
        pytest.param(
            {},
            {"window": {"context": 6, "horizon": 4}, "monitor": {"window": 53}},
            [TOO_SHORT],
            id="a window too short for a verdict",
        ),
    ],
)
def test_sections_that_do_not_fit_are_refused(
    series: dict[str, Any], sections: dict[str, Any], sentences: list[str], said: Callable[..., list[str]]
) -> None:
    """Every reason at once, each with its place."""
    assert said(series, **sections) == sentences


@pytest.mark.parametrize(
    ("series", "sections"),
    [
        pytest.param({"past": ["wind"]}, {"window": {"context": 6, "horizon": 4, "block": 4}}, id="whole block"),
        pytest.param({}, {"window": {"context": 6, "horizon": 4}, "monitor": {"window": 54}}, id="long window"),
        pytest.param({}, {"window": {"context": 2, "horizon": 3}, "model": {"name": "deepar"}}, id="two steps"),
        pytest.param({}, {"model": {"params": {"highway": 6}}}, id="a highway over the whole context"),
        pytest.param({"calendar": ["hour"]}, {"model": {"params": {"cycle": 4}}}, id="a cycle of the calendar"),
        pytest.param({"layout": "grid"}, {"model": {"params": {"cell": "conv_lstm"}}}, id="a grid of stacked layers"),
        pytest.param({"layout": "line", "static": ["area"]}, FRAMES, id="a line with numbers"),
        pytest.param({"layout": "line", "past": ["p"], "categorical": ["p"]}, FRAMES, id="labels"),
        pytest.param(
            {"static": ["kind"], "categorical": ["kind"]},
            {"forecast": {"calibrate": {"by": "kind"}}},
            id="label",
        ),
        pytest.param({}, {**SYMBOLS, "schedule": {"batch": "5 * * * *"}}, id="symbols by the clock"),
    ],
)
def test_sections_at_the_border_fit(
    series: dict[str, Any], sections: dict[str, Any], make_job: Callable[..., Job]
) -> None:
    """One step further and they would not."""
    make_job(series, **sections)


def test_every_rule_is_listed_once() -> None:
    """A rule that is not in the table would never be asked."""
    from forecasting.config import rules

    written = {value for name, value in vars(rules).items() if callable(value) and name.startswith("_")}
    assert {rule for rule in written if getattr(rule, "__module__", "") == rules.__name__} - {rules._kind} == set(RULES)
    assert len(RULES) == len(set(RULES))
