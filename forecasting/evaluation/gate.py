"""Only better models go live: backtests on the same windows become a verdict with its reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any

import numpy as np

from forecasting.config.evaluation import Gate
from forecasting.errors import GatecastError
from forecasting.evaluation.bootstrap import Improvement, better
from forecasting.evaluation.metrics import METRICS, Judged, Scored, primary_metric, revision, value

__all__ = ["Backtested", "Rule", "Verdict", "best_baseline", "held", "judge", "sane"]


@dataclass(frozen=True)
class Backtested:
    """A backtested model, and its cost of serving."""

    name: str
    scored: Judged
    latency_ms: float  # of one forecast
    size_mb: float
    weights: str  # sha256 of the weights that were scored


@dataclass(frozen=True)
class Rule:
    """One rule of the gate: the challenger's figure, its bound, and both in a sentence."""

    rule: str
    figure: float  # NaN if there is nothing to measure
    bound: float
    passed: bool
    sentence: str

    def plain(self) -> dict[str, Any]:
        """The rule for JSON: a figure or bound that is not finite is null."""
        content = asdict(self)
        return content | {key: content[key] if isfinite(content[key]) else None for key in ("figure", "bound")}


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger with these weights may go live."""

    passed: bool
    challenger: str
    weights: str
    rules: tuple[Rule, ...]

    def to_json(self) -> str:
        """The verdict as one JSON object; NaN becomes null."""
        return json.dumps(asdict(self) | {"rules": [rule.plain() for rule in self.rules]}, allow_nan=False)


def judge(
    challenger: Backtested, champion: Backtested | None, baselines: Sequence[Backtested], gate: Gate, *, step: int
) -> Verdict:
    """Judge the challenger by every rule of the gate; docs/evaluation.md lists them.

    `step` is the number of steps between neighboring cutoffs. Raises ConfigError for a primary metric that cannot rank,
    GatecastError if candidates were not scored on the same windows or a required baseline is missing.
    """
    named = {baseline.name: baseline for baseline in baselines}
    missing = [name for name in gate.baselines if name not in named]
    if missing:
        raise GatecastError(
            f"the gate compares with {', '.join(missing)}, which was not backtested; backtested: {', '.join(named)}"
        )
    rivals: list[tuple[str, Judged, float]] = [(name, named[name].scored, 0.0) for name in gate.baselines]
    if champion:
        rivals.append(("champion", champion.scored, gate.margin))
    beats = _beats if champion else _is_best
    instead = (
        None if champion or not gate.baselines else best_baseline([named[n] for n in gate.baselines], gate.primary)
    )
    rules = [
        _finite(challenger.scored),
        *(
            beats(name, _improvement(challenger.scored, rival, gate, step), gate, margin)
            for name, rival, margin in rivals
        ),
        *_of_numbers(challenger.scored, named.get("naive"), instead, gate, step),
        _cap("latency", challenger.latency_ms, gate.max_latency_ms, "a forecast takes {:.3g} ms, {:.3g} ms is allowed"),
        _cap("size", challenger.size_mb, gate.max_size_mb, "the bundle has {:.3g} MB, {:.3g} MB is allowed"),
    ]
    passed = all(rule.passed for rule in rules)
    return Verdict(passed, challenger.name, challenger.weights, tuple(rules))


def sane(last: Backtested, twin: Backtested, gate: Gate, *, step: int) -> tuple[Rule, ...]:
    """Compare a last fit on all readings with the judged model, its twin, on the windows of the backtest.

    It has learned from these windows, so its forecasts there must be close to its twin's and not clearly worse.
    """
    found = _improvement(last.scored, twin.scored, gate, step)
    worse = (
        f"{gate.primary} is {_share(found.mean)} than that of the judged twin, {_share(found.high)} at best; on"
        " readings that it has learned from, the best must be no worse"
    )
    apart = float(np.abs(last.scored.forecast - twin.scored.forecast).mean())
    error = value(twin.scored, METRICS["mae"])
    near = f"its quantiles are {apart:.3g} from its twin's on average; up to the twin's error, {error:.3g}, is allowed"
    return (
        _finite(last.scored),
        Rule("near", apart, error, apart <= error, near),
        Rule("not_worse", found.high, 0.0, found.high >= 0, worse),
    )


def best_baseline(baselines: Sequence[Backtested], primary: str) -> Backtested:
    """The baseline with the lowest finite primary metric; raises GatecastError if there is none."""
    metric = primary_metric(primary, baselines[0].scored.metrics if baselines else None)
    values = {id(baseline): value(baseline.scored, metric) for baseline in baselines}
    usable = [baseline for baseline in baselines if isfinite(values[id(baseline)])]
    if not usable:
        names = ", ".join(baseline.name for baseline in baselines) or "none"
        raise GatecastError(f"no baseline has a finite {primary}; backtested: {names}")
    return min(usable, key=lambda baseline: values[id(baseline)])


def _finite(scored: Judged) -> Rule:
    broken = int((~np.isfinite(scored.forecast)).sum())
    return Rule("finite", broken, 0, broken == 0, f"{broken} of {scored.forecast.size} forecast values are not finite")


def _improvement(challenger: Judged, rival: Judged, gate: Gate, step: int) -> Improvement:
    return better(challenger, rival, metric=gate.primary, confidence=gate.confidence, step=step)


def _beats(name: str, found: Improvement, gate: Gate, margin: float) -> Rule:
    sentence = (
        f"{gate.primary} is {_share(found.mean)} than that of {name}, with one-sided {gate.confidence:.0%} bounds"
        f" {_share(found.low)} and {_share(found.high)}; the lower bound must exceed {margin:.1%}"
    )
    if not isfinite(found.low):
        sentence = (
            f"{gate.primary} cannot be compared with that of {name}: it is not finite, or there is only one window"
        )
    return Rule(f"beats_{name}", found.low, margin, found.low > margin, sentence)


def _is_best(name: str, found: Improvement, gate: Gate, _margin: float) -> Rule:
    """The rule without a champion: the model with the best average wins, since no live model needs protection."""
    sentence = (
        f"{gate.primary} is {_share(found.mean)} than that of {name} on average (one-sided {gate.confidence:.0%} bounds"
        f" {_share(found.low)} and {_share(found.high)}); with no champion, the average decides"
    )
    if not isfinite(found.mean):
        sentence = f"{gate.primary} cannot be compared with that of {name}: it is not finite"
    return Rule(f"beats_{name}", found.mean, 0.0, found.mean > 0, sentence)


def _share(improvement: float) -> str:
    return f"{abs(improvement):.1%} {'worse' if improvement < 0 else 'better'}"


def _of_numbers(
    scored: Judged, naive: Backtested | None, instead: Backtested | None, gate: Gate, step: int
) -> list[Rule]:
    """The rules of intervals and revisions, which do not apply to symbols."""
    if not isinstance(scored, Scored):
        return []
    return [*_coverage(scored, instead, gate), _stability(scored, naive.scored if naive else None, gate, step)]


def _coverage(scored: Scored, instead: Backtested | None, gate: Gate) -> list[Rule]:
    """The band of the coverage; `instead` is the baseline that goes live if there is no champion and the rules fail.

    Nothing is won by keeping intervals out for others that are further from what they promise, so these widen the band.
    """
    covered = value(scored, METRICS["coverage"])
    nominal = scored.quantiles[-1] - scored.quantiles[0]
    low, high = gate.coverage
    sentence = f"{covered:.1%} of the actuals lie inside the {nominal:.0%} interval, "
    if instead is not None and isinstance(instead.scored, Scored):
        its = value(instead.scored, METRICS["coverage"])
        low, high = min(low, its), max(high, its)
        sentence += f"{its:.1%} inside that of {instead.name}, which would go live instead; "
    return [
        Rule("min_coverage", covered, low, covered >= low, sentence + f"at least {low:.1%} is required"),
        Rule("max_coverage", covered, high, covered <= high, sentence + f"at most {high:.1%} is allowed"),
    ]


def held(scored: Judged, gate: Gate) -> bool:
    """Whether the intervals of a backtest held what the gate asks of them; symbols have none."""
    return not isinstance(scored, Scored) or all(rule.passed for rule in _coverage(scored, None, gate))


def _stability(scored: Scored, naive: Judged | None, gate: Gate, step: int) -> Rule:
    figure = revision(scored, freq_step=step)
    bound = gate.max_revision * revision(naive, freq_step=step) if isinstance(naive, Scored) else nan
    if np.isnan(bound):
        why = "no date was forecast twice" if naive else "the naive forecast was not backtested"
        return Rule("stability", figure, bound, True, f"forecast revisions were not judged: {why}")
    sentence = f"forecasts are revised by {figure:.3g} of the mean actual from cutoff to cutoff, {bound:.3g} is allowed"
    return Rule("stability", figure, bound, figure <= bound, sentence)


def _cap(rule: str, figure: float, bound: float, sentence: str) -> Rule:
    return Rule(rule, float(figure), bound, bool(figure <= bound), sentence.format(figure, bound))
