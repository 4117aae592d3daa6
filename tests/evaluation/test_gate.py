"""The gate lets truly better models through and refuses every other kind, with the reason."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from forecasting.config.evaluation import Gate
from forecasting.errors import ConfigError, GatecastError
from forecasting.evaluation.gate import Backtested, Rule, Verdict, best_baseline, judge, sane
from forecasting.evaluation.metrics import Scored

GATE = Gate(baselines=("naive", "seasonal_naive"))
CUTOFFS, HORIZON, SERIES, SEASON = 120, 6, 2, 24
QUANTILES = (0.1, 0.5, 0.9)
NOISE = 0.5


def world() -> tuple[np.ndarray, np.ndarray]:
    """Seasonal series with noise: what happened (N, H), and the noiseless truth of the same windows."""
    time = np.arange(CUTOFFS + HORIZON + SEASON)
    truth = 10 + 3 * np.sin(2 * np.pi * time / SEASON) + np.arange(SERIES)[:, None]
    readings = truth + NOISE * np.random.default_rng(5).normal(size=truth.shape)
    return readings, truth


def windows(values: np.ndarray) -> np.ndarray:
    """(series, time) to (N, H): the horizon after each cutoff, series by series."""
    steps = SEASON + np.arange(CUTOFFS)[:, None] + np.arange(HORIZON)
    return values[:, steps].reshape(-1, HORIZON)


def candidate(name: str, point: np.ndarray, *, half_width: float = 1.2816 * NOISE) -> Backtested:
    """A model that forecasts `point` (N, H) and an interval around it; the default is right for the true mean."""
    start = np.datetime64("2024-01-01", "us")
    count = SERIES * CUTOFFS
    scored = Scored(
        model=name,
        unique_id=np.repeat([f"s{i}" for i in range(SERIES)], CUTOFFS),
        cutoff=np.tile(start + np.arange(CUTOFFS) * np.timedelta64(1, "h"), SERIES),
        y=windows(world()[0]),
        forecast=point[..., None] + half_width * np.array([-1, 0, 1]),
        quantiles=QUANTILES,
        scale=np.ones(count),
        squared_scale=np.ones(count),
    )
    return Backtested(name, scored, latency_ms=1.0, size_mb=0.5, weights=f"sha-of-{name}")


def naive() -> Backtested:
    """The last reading, for all steps."""
    last = world()[0][:, SEASON - 1 + np.arange(CUTOFFS)].reshape(-1, 1)
    return candidate("naive", np.repeat(last, HORIZON, axis=1), half_width=2.0)


def seasonal_naive() -> Backtested:
    """The reading one season before."""
    readings = world()[0]
    return candidate("seasonal_naive", windows(np.roll(readings, SEASON, axis=1)), half_width=0.9)


def good(name: str = "net", bias: float = 0.0) -> Backtested:
    """The truth itself, up to a bias."""
    return candidate(name, windows(world()[1]) + bias)


def verdict(challenger: Backtested, champion: Backtested | None = None, gate: Gate = GATE) -> Verdict:
    """Judge against both baselines, cutoffs one step apart."""
    return judge(challenger, champion, [naive(), seasonal_naive()], gate, step=1)


def failed(found: Verdict) -> set[str]:
    """The names of the rules that failed; the verdict must agree with them."""
    names = {rule.rule for rule in found.rules if not rule.passed}
    assert found.passed == (not names)
    assert len(reasons(found)) == len(names)
    return names


def reasons(found: Verdict) -> list[str]:
    """The sentences of the rules that failed."""
    return [rule.sentence for rule in found.rules if not rule.passed]


def test_gate_promotes_a_model_that_is_truly_better() -> None:
    """All rules pass, and the verdict names the weights that were scored."""
    found = verdict(good())
    assert failed(found) == set()
    assert (found.challenger, found.weights) == ("net", "sha-of-net")
    assert [rule.rule for rule in found.rules] == [
        "finite",
        "beats_naive",
        "beats_seasonal_naive",
        "min_coverage",
        "max_coverage",
        "stability",
        "latency",
        "size",
    ]
    seasonal = {rule.rule: rule for rule in found.rules}["beats_seasonal_naive"]
    assert 0.15 < seasonal.figure < 0.35  # its error is sqrt(2) times as large


def test_gate_promotes_a_model_that_beats_the_champion_and_refuses_the_other_way_round() -> None:
    """The champion with a bias gives way, and does not come back."""
    biased = good("champion", bias=0.3)
    assert failed(verdict(good(), biased)) == set()
    assert failed(verdict(biased, good())) == {"beats_champion"}


def test_gate_refuses_the_champion_itself() -> None:
    """A tie is not better."""
    found = verdict(good(), good())
    assert failed(found) == {"beats_champion"}
    assert {rule.rule: rule.figure for rule in found.rules}["beats_champion"] == 0


def test_gate_asks_for_the_margin() -> None:
    """Better by less than the margin is refused."""
    biased = good("champion", bias=0.3)
    assert failed(verdict(good(), biased, GATE.model_copy(update={"margin": 0.05}))) == set()
    assert failed(verdict(good(), biased, GATE.model_copy(update={"margin": 0.5}))) == {"beats_champion"}


def test_gate_refuses_a_model_that_is_better_by_luck() -> None:
    """Of equally good pairs every second challenger looks better, but only about one in ten may pass."""
    random = np.random.default_rng(0)
    truth = windows(world()[1])

    def twin(name: str) -> Backtested:
        return candidate(name, truth + 0.2 * random.normal(size=truth.shape))

    rules = [{rule.rule: rule for rule in verdict(twin("net"), twin("champion")).rules} for _ in range(40)]
    assert sum("better than that of champion" in rule["beats_champion"].sentence for rule in rules) > 12
    assert sum(rule["beats_champion"].passed for rule in rules) <= 8


def test_without_a_champion_the_average_decides() -> None:
    """Two per cent better with a bound below zero goes live where nothing is, and does not replace a champion."""
    random = np.random.default_rng(3)
    truth = windows(world()[1])
    close = candidate("ridge", truth + 0.2 * random.normal(size=truth.shape))
    gate = GATE.model_copy(update={"baselines": ("ridge",)})
    pairs = [candidate("net", truth + 0.2 * random.normal(size=truth.shape)) for _ in range(12)]
    first = [judge(one, None, [close, naive()], gate, step=1) for one in pairs]
    rules = [{rule.rule: rule for rule in one.rules}["beats_ridge"] for one in first]
    assert {rule.passed for rule in rules} == {True, False}
    assert all(rule.passed == (rule.figure > 0) for rule in rules)
    assert "with no champion, the average decides" in rules[0].sentence
    held = [judge(one, close, [close, naive()], gate, step=1) for one in pairs]
    assert sum(one.passed for one in held) < sum(one.passed for one in first)


def test_gate_refuses_a_shuffled_model() -> None:
    """Right values for the wrong windows: worse than naive."""
    shuffled = np.random.default_rng(0).permutation(windows(world()[1]))
    assert {"beats_naive", "beats_seasonal_naive"} <= failed(verdict(candidate("net", shuffled)))


def test_gate_refuses_a_constant_model() -> None:
    """The mean of the past, whatever happens, does not beat the season."""
    mean = np.repeat([10.0, 11.0], CUTOFFS)[:, None] + np.zeros(HORIZON)
    found = failed(verdict(candidate("net", mean, half_width=3.0)))
    assert "beats_seasonal_naive" in found


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gate_refuses_a_single_value_that_is_not_finite(bad: float) -> None:
    """One NaN among 4,320 numbers: no metric can be trusted, and the count is told."""
    challenger = good()
    forecast = challenger.scored.forecast.copy()
    forecast[17, 3, 0] = bad
    found = verdict(replace(challenger, scored=replace(challenger.scored, forecast=forecast)))
    assert {"finite", "beats_naive", "beats_seasonal_naive"} <= failed(found)
    assert reasons(found)[0] == "1 of 4320 forecast values are not finite"


def test_gate_refuses_intervals_that_cover_too_little_or_too_much() -> None:
    """Narrow and wide intervals each fail their side of the band, and the figure is the share that was covered."""
    truth = windows(world()[1])
    narrow = verdict(candidate("net", truth, half_width=0.2))
    assert "min_coverage" in failed(narrow)
    share = np.mean(np.abs(windows(world()[0]) - truth) <= 0.2)
    assert {rule.rule: rule.figure for rule in narrow.rules}["min_coverage"] == pytest.approx(share)
    assert "max_coverage" in failed(verdict(candidate("net", truth, half_width=1.2)))


def test_without_a_champion_intervals_need_only_hold_as_much_as_those_that_would_go_live_instead() -> None:
    """The best baseline, narrower still, would take the place; a champion with such intervals protects nothing."""
    truth, last = windows(world()[1]), naive()
    narrow = candidate("net", truth, half_width=0.4)
    worse = candidate("seasonal_naive", seasonal_naive().scored.point, half_width=0.1)
    alone = judge(narrow, None, [last, worse], GATE, step=1)
    assert failed(alone) == set()
    share = np.mean(np.abs(windows(world()[0]) - worse.scored.point) <= 0.1)
    rule = next(rule for rule in alone.rules if rule.rule == "min_coverage")
    assert rule.bound == pytest.approx(share)
    assert f"{share:.1%} inside that of seasonal_naive, which would go live instead" in rule.sentence
    beside = judge(narrow, candidate("champion", worse.scored.point, half_width=0.1), [last, worse], GATE, step=1)
    assert "min_coverage" in failed(beside)


def test_gate_refuses_forecasts_that_jump_from_cutoff_to_cutoff() -> None:
    """Good on average, but each cutoff tells another story."""
    jumps = 0.45 * (-1.0) ** np.tile(np.arange(CUTOFFS), SERIES)[:, None]
    jumpy = candidate("net", windows(world()[1]) + jumps)
    strict = GATE.model_copy(update={"max_revision": 1.0})
    assert failed(verdict(good(), gate=strict)) == set()
    assert "stability" in failed(verdict(jumpy, gate=strict))


def test_stability_is_not_judged_where_no_date_is_forecast_twice() -> None:
    """Cutoffs a horizon apart: the rule passes and says why."""
    rules = judge(good(), None, [naive(), seasonal_naive()], GATE, step=HORIZON).rules
    rule = {rule.rule: rule for rule in rules}["stability"]
    assert rule.passed
    assert rule.sentence == "forecast revisions were not judged: no date was forecast twice"


@pytest.mark.parametrize(("field", "rule"), [("latency_ms", "latency"), ("size_mb", "size")])
def test_gate_refuses_what_is_too_slow_or_too_big(field: str, rule: str) -> None:
    """At the cap is allowed, above is not."""
    assert failed(verdict(replace(good(), **{field: 100.0}))) == set()  # type: ignore[arg-type]
    assert failed(verdict(replace(good(), **{field: 100.5}))) == {rule}  # type: ignore[arg-type]


def test_reasons_are_sentences_with_figures() -> None:
    """A person reads what was measured and what was allowed."""
    slow = verdict(replace(good(), latency_ms=250.0))
    assert reasons(slow) == ["a forecast takes 250 ms, 100 ms is allowed"]
    worse = reasons(verdict(naive()))
    assert (
        "wql is 0.0% better than that of naive on average (one-sided 90% bounds 0.0% better and 0.0% better)"
        in worse[0]
    )
    assert "with no champion, the average decides" in worse[0]


def test_judge_is_deterministic() -> None:
    """The same backtests give the same verdict."""
    assert verdict(good(), good("champion", 0.1)) == verdict(good(), good("champion", 0.1))


def test_judge_refuses_a_missing_baseline_other_windows_and_an_unknown_metric() -> None:
    """What cannot be judged is an error, never a pass."""
    with pytest.raises(
        GatecastError, match="compares with seasonal_naive, which was not backtested; backtested: naive"
    ):
        judge(good(), None, [naive()], GATE, step=1)
    early = good().scored
    shorter = replace(good(), scored=replace(early, cutoff=early.cutoff - np.timedelta64(1, "h")))
    with pytest.raises(GatecastError, match="net and naive cannot be compared: 4 window"):
        verdict(shorter)
    with pytest.raises(ConfigError, match=r"'wqll'.*wql, mae"):
        verdict(good(), gate=GATE.model_copy(update={"primary": "wqll"}))


def test_verdict_is_strict_json() -> None:
    """With every rule, also one whose figure does not exist; text stays as it is."""
    found = verdict(good(), good("champion", 0.3))
    content = json.loads(found.to_json())
    assert content | {"rules": []} == {**asdict(found), "rules": []}
    assert [Rule(**rule) for rule in content["rules"]] == list(found.rules)
    odd = Verdict(False, "net", "sha", (Rule("beats_naive", float("nan"), 0.0, False, "“why” & <so>"),))
    (rule,) = json.loads(odd.to_json())["rules"]
    assert (rule["figure"], rule["sentence"]) == (None, "“why” & <so>")


def test_best_baseline_has_the_lowest_finite_metric() -> None:
    """A broken baseline is never the best; where all are broken, that is an error."""
    broken = replace(good("broken"), scored=replace(good().scored, forecast=np.full((240, 6, 3), np.nan)))
    assert best_baseline([broken, naive(), seasonal_naive()], "wql").name == "seasonal_naive"
    with pytest.raises(GatecastError, match="no baseline has a finite mae; backtested: broken"):
        best_baseline([broken], "mae")


@pytest.mark.parametrize(
    ("bias", "broken"),
    [(0.0, set()), (0.1, {"not_worse"}), (0.5, {"near", "not_worse"}), (np.nan, {"finite", "near", "not_worse"})],
)
def test_a_last_fit_must_be_finite_near_its_twin_and_not_surely_worse(bias: float, broken: set[str]) -> None:
    """On the windows that both know; a small bias is near enough, but surely worse where it has learned."""
    rules = sane(good("last", bias), good("twin"), GATE, step=1)
    assert [rule.rule for rule in rules] == ["finite", "near", "not_worse"]
    assert {rule.rule for rule in rules if not rule.passed} == broken
    if not np.isnan(bias):
        assert rules[1].figure == pytest.approx(bias, abs=1e-9)
        assert rules[1].bound == pytest.approx(np.abs(windows(world()[1]) - windows(world()[0])).mean())
