"""Continuations of texts as the report shows them: the prompt, and the text generated from it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from forecasting.columns import CUTOFF, DS, SYMBOL, UNIQUE_ID, Y
from forecasting.series.vocabulary import join_symbols

__all__ = ["Text", "texts"]

_READ = 200  # symbols of the history to show
_MOST = 6  # texts


class Text(NamedTuple):
    """One continuation."""

    title: str
    prompt: str
    generated: str


def texts(history: pd.DataFrame, forecasts: pd.DataFrame, unit: str) -> tuple[Text, ...]:
    """The first forecasts of symbols (unique_id, ds, cutoff, symbol), each after the end of its history."""
    if SYMBOL not in forecasts:
        return ()
    found = []
    for (name, cutoff), made in list(forecasts.groupby([UNIQUE_ID, CUTOFF], sort=True))[:_MOST]:
        own = history[(history[UNIQUE_ID] == name) & (history[DS] <= cutoff)].sort_values(DS)[Y].tail(_READ)
        found.append(Text(f"{name} · {cutoff}", join_symbols(own, unit), join_symbols(made[SYMBOL], unit)))
    return tuple(found)
