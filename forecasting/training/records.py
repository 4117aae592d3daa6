"""A fit's records: its first weights, when an older fit's weights may be used, and its results; without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import pandas as pd

from forecasting.bundle.artifact import Bundle
from forecasting.columns import Y
from forecasting.config.job import Job
from forecasting.config.network import Network
from forecasting.series.folds import Fold
from forecasting.series.layout import learn_layout

__all__ = ["SCRATCH", "Fitted", "Start", "objections"]


class Fitted(NamedTuple):
    """A finished fit: the path of its bundle, its losses, and its device."""

    bundle: Path
    curves: pd.DataFrame  # epoch, loss, val_loss, seconds; gradient_norm and clipped after the first step
    devices: tuple[str, ...]
    # all candidates of a search: model, settings, seed, steps, seconds, wql, weight, gradient_norm, clipped
    tried: pd.DataFrame | None = None


class Start(NamedTuple):
    """The first weights of a fit."""

    init: str  # as in `train.init`: an entry of STARTS or a run ID
    bundle: Path | None = None  # the source of the weights; none: drawn at random
    version: int | None = None  # of that bundle in the registry
    note: str = ""  # the reason why they are not those of `train.init`

    @property
    def warm(self) -> bool:
        """Whether the weights come from an older fit."""
        return self.bundle is not None


# keys of `series` that decide what a network reads, and in which unit
_READ: Final = (
    *("freq", "aggregate", "past", "future", "static", "categorical", "calendar", "holidays", "events"),
    *("layout", "places", "transform", "scale", "integer"),
)

SCRATCH: Final = Start("scratch")


def objections(bundle: Bundle, job: Job, folds: Sequence[Fold], known: pd.DataFrame) -> list[str]:
    """Why the weights of `bundle` cannot or must not be the first ones of this job's network; empty if they may.

    They must not depend on anything that a fold keeps from its own fit: not learned from readings after its
    `fit_until`, nor chosen by readings after its `seen_until`, since those judge the fit. `known` is the part that the
    first fold may learn from.
    """
    if bundle.spec.baseline:
        return [f"it is the baseline {bundle.spec.model}, not a network"]
    if bundle.manifest.weights_file is None:
        return ["its bundle holds no weights of a network"]
    if bundle.spec.table.transform == "log" and not (known[Y].dropna() > 0).all():
        return ["it reads logarithms, and not all readings are above 0"]
    moved = _other_network(bundle, job)
    if not moved and bundle.spec.layout != learn_layout(known, job.series):
        moved = ["its layout differs"]
    return [*moved, *_knows_too_much(bundle, job, folds)]


def _other_network(bundle: Bundle, job: Job) -> list[str]:
    spec, quantiles = bundle.spec, job.head.quantiles
    pairs = {
        "model": (spec.model, job.model.name),
        "train.precision": (bundle.manifest.origin.precision, job.train.precision),
        "window.context": (spec.context, job.window.context),
        "window.horizon": (spec.horizon, job.window.horizon),
        "window.block": (spec.block, job.window.block),
        "head": (spec.head, job.head.name),
        "head.quantiles": (quantiles if job.symbolic else spec.quantiles, quantiles),
        **{f"series.{name}": (getattr(spec.series, name), getattr(job.series, name)) for name in _READ},
    }
    if spec.model == job.model.name == "auto":
        if "transform" not in job.series.model_fields_set:
            del pairs["series.transform"]  # `auto` chose it
        if job.window.context <= spec.context <= job.selection.longest_context:
            del pairs["window.context"]  # that of the member which reads the furthest back
    if spec.model == job.model.name:
        pairs |= _params(bundle.manifest.origin.params, cast(Network, job.model.params))
    return [f"its {name} is {its}, the job's is {ours}" for name, (its, ours) in pairs.items() if its != ours]


def _params(recorded: dict[str, Any], params: Network) -> dict[str, tuple[Any, Any]]:
    """Each parameter of a bundle's network and of the job's; an unrecorded one had its default."""
    its, ours = type(params)().model_dump(mode="json") | recorded, params.model_dump(mode="json")
    return {f"model.params.{name}": (its.get(name), ours.get(name)) for name in its | ours}


def _knows_too_much(bundle: Bundle, job: Job, folds: Sequence[Fold]) -> list[str]:
    origin, first = bundle.manifest.origin, folds[0]
    if origin.fit_until is None or origin.seen_until is None:
        return ["it does not record where its training data ended"]
    too_late = {
        "learned from": (origin.fit_until, first.fit_until),
        "was chosen by": (origin.seen_until, first.seen_until),
    }
    wrong = [
        f"it {how} readings up to {its}, but the first fit of this backtest may know only those up to {allowed}"
        for how, (its, allowed) in too_late.items()
        if its > allowed
    ]
    if not wrong and job.train.replay == 0 and origin.fit_until == first.fit_until:
        return [f"there are no readings after {origin.fit_until} to learn from, and train.replay is 0"]
    return wrong
