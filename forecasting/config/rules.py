"""Rules between the sections of a job, all of those that need neither data nor a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, get_args

from forecasting.config.chosen import AUTO
from forecasting.config.evaluation import Baseline, Ngram, PrimaryMetric, PrimarySymbolMetric
from forecasting.config.network import SegRNN, Stacked
from forecasting.config.operation import least_stamps
from forecasting.config.section import Fault, Rule

if TYPE_CHECKING:
    from forecasting.config.job import Job

__all__ = ["RULES"]


def _network_fits_windows(job: Job) -> Iterator[Fault]:
    if job.window.context == AUTO:
        return  # chosen when the data is there
    for place, sentence in job.model.params.objections(job.window.context, on_grid=job.series.layout != "none"):
        yield Fault(f"model.params.{place}" if place else "model.name", sentence)


def _block_is_for_direct_networks(job: Job) -> Iterator[Fault]:
    if job.window.block is not None and job.model.params.step_by_step:
        name, block = job.model.name, job.window.block
        yield Fault("window.block", f"{name} forecasts step by step, got {block}; leave it out")


def _block_is_for_single_series(job: Job) -> Iterator[Fault]:
    if job.window.block is not None and job.series.layout != "none":
        yield Fault("window.block", f"it is for single series, but series.layout is {job.series.layout}; leave it out")


def _block_knows_what_it_reads(job: Job) -> Iterator[Fault]:
    """A network that continues from its own forecasts would need past covariates after the cutoff."""
    block, horizon, past = job.window.block, job.window.horizon, job.series.past
    if block is not None and block < horizon and past:
        yield Fault(
            "window.block",
            f"to continue after {block} of {horizon} steps, a network needs later values of {', '.join(past)},"
            " known only up to the cutoff; leave block out, or leave them out of series.past",
        )


def _grid_has_no_static_labels(job: Job) -> Iterator[Fault]:
    labels = sorted({*job.series.static} & {*job.series.categorical})
    if job.series.layout != "none" and labels:
        layout, got = job.series.layout, ", ".join(labels)
        yield Fault("series.categorical", f"a {layout} takes static numbers, not labels, got {got}")


def _residuals_have_their_label(job: Job) -> Iterator[Fault]:
    by, valid = job.forecast.calibrate.by, ["all", "series", *sorted({*job.series.static} & {*job.series.categorical})]
    if by not in valid:
        yield Fault("forecast.calibrate.by", f"must be one of {', '.join(valid)}, or another static label, got {by!r}")


def _monitor_can_judge(job: Job) -> Iterator[Fault]:
    window, horizon = job.monitor.window, job.window.horizon
    least = least_stamps(horizon)
    if window is not None and window < least:
        yield Fault(
            "monitor.window",
            f"{window} steps are too few to renew the intervals of forecasts of {horizon} steps from; set {least} or"
            " more, or leave it out",
        )


def _new_rows_are_enough(job: Job) -> Iterator[Fault]:
    """A step that is gathered from several rows would be replaced by the few that are new."""
    if getattr(job.source, "since", None) is None:
        return
    if job.series.aggregate is not None:
        yield Fault("source.since", "new rows are no whole steps, which series.aggregate gathers; leave it out")
    if job.series.duplicates not in ("refuse", "last"):
        got = job.series.duplicates
        yield Fault(
            "source.since", f"needs series.duplicates refuse or last, got {got}: the other rows are not read again"
        )


def _metric_is_of_its_kind(job: Job) -> Iterator[Fault]:
    kind, valid = _kind(job, PrimaryMetric, PrimarySymbolMetric)
    if job.gate.primary not in valid:
        yield Fault("gate.primary", f"the metrics of {kind} are {', '.join(valid)}, got {job.gate.primary}")


def _baselines_are_of_their_kind(job: Job) -> Iterator[Fault]:
    kind, valid = _kind(job, Baseline, Ngram)
    if foreign := [name for name in job.gate.baselines if name not in valid]:
        yield Fault("gate.baselines", f"the baselines of {kind} are {', '.join(valid)}, got {', '.join(foreign)}")


def _symbols_are_read_whole(job: Job) -> Iterator[Fault]:
    windows = job.train.windows_per_epoch
    if job.symbolic and windows is not None:
        yield Fault("train.windows_per_epoch", f"sequences of symbols are read whole, got {windows}; leave it out")


def _replay_is_for_single_series_of_numbers(job: Job) -> Iterator[Fault]:
    if job.train.replay < 1 and (job.symbolic or job.series.layout != "none"):
        yield Fault("train.replay", f"symbols and layouts are read whole, got {job.train.replay}; leave it out")


def _last_fit_is_for_numbers(job: Job) -> Iterator[Fault]:
    if job.train.final_fit and job.symbolic:
        yield Fault("train.final_fit", "a network of symbols has no final fit; leave it out")


def _states_are_carried_on_one_device(job: Job) -> Iterator[Fault]:
    if job.symbolic and job.train.devices != 1:
        got = job.train.devices
        yield Fault("train.devices", f"a network of symbols carries its states on one device, got {got}; leave it out")


def _monitoring_is_for_numbers(job: Job) -> Iterator[Fault]:
    if job.schedule is not None and job.schedule.monitor is not None and job.symbolic:
        yield Fault("schedule.monitor", "forecasts of symbols are not monitored; leave it out")


def _labels_have_their_head(job: Job) -> Iterator[Fault]:
    if job.series.symbolic and not job.symbolic:
        yield Fault("head.name", f"series.categorical names y, so the head must be categorical, got {job.head.name}")


def _network_of_symbols_has_its_head(job: Job) -> Iterator[Fault]:
    if job.model.name == "in_step" and not job.symbolic:
        yield Fault(
            "head.name", f"the network in_step forecasts symbols and needs the head categorical, got {job.head.name}"
        )


def _auto_is_for_quantiles_of_single_series(job: Job) -> Iterator[Fault]:
    if job.model.name != "auto":
        return
    if job.head.name != "quantile":
        yield Fault("head.name", f"auto averages quantiles and needs the head quantile, got {job.head.name}")
    if job.window.block is not None:
        yield Fault("window.block", f"auto gives the whole horizon at once, got {job.window.block}; leave it out")
    for name in ("steps", "minutes", "epochs"):
        if (got := getattr(job.train, name)) is not None:
            yield Fault(f"train.{name}", f"auto plans its own training, got {got}; set selection.budget instead")


def _ridge_start_has_its_head(job: Job) -> Iterator[Fault]:
    params = job.model.params
    if not isinstance(params, Stacked | SegRNN) or params.highway_start == "zero":
        return
    if not params.highway:
        start = params.highway_start
        yield Fault(
            "model.params.highway", f"highway_start: {start} needs a highway; set its lags, at most the context"
        )
    if job.head.name not in ("quantile", "normal", "student_t"):
        yield Fault("head.name", f"{job.head.name} cannot start from a ridge regression; set highway_start: zero")


def _cycle_has_its_inputs(job: Job) -> Iterator[Fault]:
    params = job.model.params
    if isinstance(params, Stacked | SegRNN) and params.cycle and not job.series.knows_ahead:
        yield Fault(
            "model.params.cycle",
            "nothing is known ahead to learn a cycle from; set series.calendar, or leave it out",
        )


def _symbols_have_their_network(job: Job) -> Iterator[Fault]:
    if job.symbolic and job.model.name != "in_step":
        yield Fault("model.name", f"the head categorical needs in_step, the network of symbols, got {job.model.name}")


def _symbols_have_no_settings_of_numbers(job: Job) -> Iterator[Fault]:
    """Codes have no level, so settings of a level do not apply to them."""
    if not job.symbolic:
        return
    series = job.series
    given = {name: bool(getattr(series, name)) for name in ("past", "future", "static", "calendar", "integer")}
    given |= {name: getattr(series, name) is not None for name in ("lower", "upper", "aggregate", "holidays", "events")}
    given |= {name: getattr(series, name) != "none" for name in ("transform", "layout")}
    for name in (name for name, there in given.items() if there):
        yield Fault(f"series.{name}", "this is for numbers, but the head is categorical; leave it out")
    if series.gaps != "refuse":
        yield Fault("series.gaps", f"symbols need refuse, got {series.gaps}; leave it out")
    if series.duplicates in ("mean", "sum"):
        yield Fault("series.duplicates", f"symbols need first, last, or refuse, got {series.duplicates}")


def _counts_are_counts(job: Job) -> Iterator[Fault]:
    """The negative binomial distribution is one of counts, as they are."""
    if job.head.name != "negative_binomial":
        return
    series, head = job.series, "the head negative_binomial"
    scaled = "since scaled or transformed values are no longer counts"
    if not series.integer:
        yield Fault("series.integer", f"{head} needs true, since it counts whole numbers, got false")
    if series.lower is None or series.lower < 0:
        got = "none" if series.lower is None else f"{series.lower:g}"
        yield Fault("series.lower", f"{head} needs 0 or more, since counts are not negative, got {got}")
    if series.scale != "none":
        yield Fault("series.scale", f"{head} needs none, {scaled}, got {series.scale}")
    if series.transform != "none":
        yield Fault("series.transform", f"{head} needs none, {scaled}, got {series.transform}")


def _each_is_for_single_series_of_numbers(job: Job) -> Iterator[Fault]:
    if job.backtest.cutoffs == "each" and (job.symbolic or job.series.layout != "none"):
        yield Fault("backtest.cutoffs", "symbols and layouts are judged at the same stamps, got each; leave it out")


def _rivals_are_for_single_series_of_numbers(job: Job) -> Iterator[Fault]:
    if job.backtest.rivals and (job.symbolic or job.series.layout != "none"):
        yield Fault("backtest.rivals", f"they forecast single series of numbers, got {job.backtest.rivals[0]}")


def _kind(job: Job, numbers: Any, symbols: Any) -> tuple[str, tuple[str, ...]]:
    """What the job forecasts, and the names that go with it."""
    return ("symbols", get_args(symbols)) if job.symbolic else ("numbers", get_args(numbers))


RULES: Final[tuple[Rule, ...]] = (
    _network_fits_windows,
    _block_is_for_direct_networks,
    _block_is_for_single_series,
    _block_knows_what_it_reads,
    _grid_has_no_static_labels,
    _residuals_have_their_label,
    _monitor_can_judge,
    _new_rows_are_enough,
    _metric_is_of_its_kind,
    _baselines_are_of_their_kind,
    _symbols_are_read_whole,
    _replay_is_for_single_series_of_numbers,
    _last_fit_is_for_numbers,
    _states_are_carried_on_one_device,
    _monitoring_is_for_numbers,
    _labels_have_their_head,
    _network_of_symbols_has_its_head,
    _auto_is_for_quantiles_of_single_series,
    _ridge_start_has_its_head,
    _cycle_has_its_inputs,
    _symbols_have_their_network,
    _symbols_have_no_settings_of_numbers,
    _counts_are_counts,
    _each_is_for_single_series_of_numbers,
    _rivals_are_for_single_series_of_numbers,
)
