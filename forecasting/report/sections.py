"""Sections of a report on where a model errs: calibration, the worst series, sizes of series; and its gates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.columns import UNIQUE_ID
from forecasting.evaluation.breakdown import SizeGroups, WorstSeries, by_size, calibration, worst_series
from forecasting.evaluation.judging import CHAMPION, Judgment
from forecasting.evaluation.metrics import covered
from forecasting.insight.gates import usage
from forecasting.runtime.templates import number, percent
from forecasting.series.windows import Windows

__all__ = ["Breakdown", "breakdown", "gate_table", "size_table", "worst_table"]

_SIZE: Final = "mean reading"


@dataclass(frozen=True)
class Breakdown:
    """Where the challenger errs in the backtest, beside the best baseline; an empty part leaves its section out."""

    model: str
    baseline: str
    primary: str
    quantiles: pd.DataFrame = field(default_factory=pd.DataFrame)  # model, quantile, below, at_most
    held: dict[str, float] = field(default_factory=dict)  # the share inside each interval, by its level in percent
    worst: WorstSeries | None = None
    sizes: SizeGroups | None = None

    @property
    def coverage_note(self) -> str:
        """How many actuals each interval of the challenger held, in a sentence."""
        held = ", ".join(f"{percent(share)} inside the {level} % interval" for level, share in self.held.items())
        return f"{self.model}: {held}. " if held else ""

    @property
    def worst_note(self) -> str:
        """How many series are worse than by the best baseline, and how the table is sorted."""
        found = self.worst
        if found is None:
            return ""
        undefined = f" {found.undefined} have no {self.primary}, since it divides by 0." if found.undefined else ""
        shown = f"the {len(found.table)} worst" if len(found.table) < found.series else "all"
        return (
            f"{found.worse} of {found.series} series are forecast worse by {self.model} than by {self.baseline}, the"
            f" best baseline.{undefined} Here are {shown}, by {self.primary}: first those that are worse, by what that"
            " costs, then the others, by their share of the loss."
        )

    @property
    def sizes_note(self) -> str:
        """What the groups are, and how many series are in none."""
        if self.sizes is None:
            return ""
        left = f" {self.sizes.left_out} series without an actual are left out." if self.sizes.left_out else ""
        return f"The {self.primary} in groups of about as many series each, by their mean absolute actual.{left}"


def breakdown(judgment: Judgment, primary: str) -> Breakdown:
    """Break the backtest of a run down: the challenger, the champion if there is one, and the best baseline."""
    challenger, best = judgment.backtests[0].scored, judgment.of(judgment.fallback).scored
    live = [one.scored for one in judgment.backtests if one.name == CHAMPION]
    return Breakdown(
        challenger.model,
        best.model,
        primary,
        calibration([challenger, *live, best]),
        covered(challenger),
        worst_series(challenger, best, primary),
        by_size(challenger, best, primary),
    )


def worst_table(found: Breakdown) -> pd.DataFrame:
    """The worst series for a person, shares in percent."""
    if found.worst is None:
        return pd.DataFrame()
    rows = found.worst.table
    return pd.DataFrame(
        {
            "series": rows[UNIQUE_ID],
            "loss, %": (100 * rows["share"]).round(1),
            **{name: rows[name] for name in (found.model, found.baseline)},
            "worse by, %": (100 * rows["against"]).round(1),
        }
    )


def size_table(found: Breakdown) -> pd.DataFrame:
    """The groups of series for a person; the first column names each by its sizes."""
    if found.sizes is None:
        return pd.DataFrame()
    rows = found.sizes.table
    return pd.DataFrame(
        {
            _SIZE: [f"{number(low)} to {number(high)}" for low, high in zip(rows["low"], rows["high"], strict=True)],
            "series": rows["series"],
            "loss, %": (100 * rows["share"]).round(1),
            **{name: rows[name] for name in (found.model, found.baseline)},
            "worse by, %": (100 * (rows[found.model] / rows[found.baseline] - 1)).round(1),
        }
    )


def gate_table(model: QuantileForecaster, windows: Windows) -> pd.DataFrame:
    """How the gates of a network are used, for a person; empty for models without gates."""
    rows = [
        (layer, gate, *(round(100 * share, 1) for share in (use.closed, use.open)), round(use.mean, 3))
        for layer, gate, use in usage(model, windows)
    ]
    return pd.DataFrame(rows, columns=["layer", "gate", "closed, %", "open, %", "mean"])
