"""Permutation importance: how much worse forecasts become when one covariate comes from other windows."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.scoring import pinball
from forecasting.errors import ConfigError
from forecasting.series.features import Features
from forecasting.series.windows import Batch, Windows, evenly

__all__ = ["Importance", "importance"]

_WINDOWS: Final = 512  # at most
_DRAWS: Final = 5  # permutations of each covariate
_LEAST: Final = 10  # windows after the fit; with fewer, all windows count

Array = np.ndarray
Places = dict[str, list[int]]  # the channels of each input of the graph


class Importance(NamedTuple):
    """The relative rise of the quantile loss when a covariate is permuted among windows, and its spread over draws.

    0.1 means that forecasts are 10 % worse without what this covariate says of a window. `unseen` tells whether the
    model was fitted before the targets of all these windows.
    """

    rises: dict[str, tuple[float, float]]  # by covariate, the largest first: mean and standard deviation
    loss: float  # of the forecasts as they are, scaled
    windows: int
    unseen: bool

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        rises = {name: {"rise": mean, "deviation": spread} for name, (mean, spread) in self.rises.items()}
        return {"importance": rises, "loss": self.loss, "windows": self.windows, "unseen": self.unseen}


def importance(forecaster: QuantileForecaster, windows: Windows) -> Importance:
    """The permutation importance (Breiman 2001, section 10) of every covariate for forecasts of these windows.

    A covariate is permuted as a whole: its context and what is known ahead of it come from the same other window.
    Covariates that say the same stand in for each other, so that each of them seems less important. Raises ConfigError
    for a model without covariates, or of a grid.
    """
    spec = forecaster.spec
    places = _places(spec.features)
    if spec.layout is not None or not places:
        raise ConfigError(f"{spec.job} has no covariates of single series to permute; it reads its own past alone")
    chosen, unseen = _judged(forecaster, windows)
    batch, y = windows.batch(chosen), windows.targets(chosen)
    loss = _loss(forecaster, batch, y)
    draw = np.random.default_rng(1)
    orders = [draw.permutation(len(chosen)) for _ in range(_DRAWS)]
    rises = {
        name: np.array([_loss(forecaster, _permuted(batch, where, order), y) / loss - 1 for order in orders])
        for name, where in places.items()
    }
    ranked = sorted(rises, key=lambda name: -rises[name].mean())
    found = {name: (float(rises[name].mean()), float(rises[name].std())) for name in ranked}
    return Importance(found, loss, len(chosen), unseen)


def _places(features: Features) -> dict[str, Places]:
    """Where each covariate stands in the inputs of the graph; what stamps give by themselves counts as one."""
    stamps, ahead, before = set(features.of_stamps), features.known_ahead, len(features.observed)
    found: dict[str, Places] = {}
    for name in features.past:
        found[name] = {"past": _of(name, features.observed)}
    for name in features.future:
        channels = _of(name, ahead)
        found[name] = {"past": [before + place for place in channels], "future": channels}
    if stamps:
        channels = [place for place, channel in enumerate(ahead) if channel in stamps]
        found["calendar"] = {"past": [before + place for place in channels], "future": channels}
    found |= {name: {"static": [place]} for place, name in enumerate(features.static_numbers)}
    return found | {name: {"codes": [place]} for place, name in enumerate(features.static_labels)}


def _of(name: str, channels: tuple[str, ...]) -> list[int]:
    """The channels of a covariate: one for a number, one for each label of a label."""
    return [place for place, channel in enumerate(channels) if channel == name or channel.startswith(f"{name}=")]


def _judged(forecaster: QuantileForecaster, windows: Windows) -> tuple[Array, bool]:
    """Windows whose targets all lie after what the model has learned from; all, where these are too few."""
    fitted = forecaster.bundle.manifest.origin.fit_until
    everything = np.arange(len(windows))
    if fitted is not None:
        cutoffs = windows.panel.stamps[windows.rows(everything)]
        later = everything[cutoffs >= np.datetime64(pd.Timestamp(fitted))]
        if len(later) >= _LEAST:
            return later[evenly(len(later), _WINDOWS)], True
    return everything[evenly(len(everything), _WINDOWS)], False


def _permuted(batch: Batch, where: Places, order: Array) -> Batch:
    """The batch with some channels of other windows."""
    changed = dict(batch)
    for array, channels in where.items():
        values = batch[array].copy()
        values[..., channels] = batch[array][order][..., channels]
        changed[array] = values
    return changed


def _loss(forecaster: QuantileForecaster, batch: Batch, y: Array) -> float:
    predictor = forecaster.bundle.predictor
    read = {name: batch[name] for name in predictor.inputs}
    return float(np.nanmean(pinball(y, predictor.quantiles(read), forecaster.spec.quantiles)))
