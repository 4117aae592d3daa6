"""A search for the settings of one network with Optuna: on the validation windows alone, and it can be resumed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from forecasting.columns import MODEL
from forecasting.config.job import Job
from forecasting.config.network import SegRNN, SegRNNModel, Stacked, StackedModel
from forecasting.errors import ConfigError
from forecasting.selection.candidates import Setting, short_context, steps_within
from forecasting.selection.search import train_candidate
from forecasting.selection.space import Space, choose_space
from forecasting.selection.tuned import Tuned
from forecasting.series.calendar import season_of
from forecasting.series.folds import Fold
from forecasting.storage.snapshot import take
from forecasting.storage.store import Store
from forecasting.training.devices import set_up

if TYPE_CHECKING:  # a package of the extra `train`
    import optuna

__all__ = ["suggest", "tune", "tune_stored"]

TRIALS: Final = 24  # that the time is planned for; trials that stop early leave room for more
LEAST_TRIALS: Final = 3


def tune_stored(home: Path, job: Job, version: int, *, work: Path, seconds: float) -> Tuned:
    """Tune on the observations stored as `version`; runs in a child process."""
    data = take(Store(home), job, version)
    return tune(data.table, data.job, data.folds[0], work, seconds=seconds)


def tune(table: pd.DataFrame, job: Job, fold: Fold, work: Path, *, seconds: float) -> Tuned:
    """Train networks for `seconds` in all, in settings that Optuna's TPE suggests, and give the best.

    `table` must be clean. The study in `work` keeps what was tried: a second call with the same time adds nothing to a
    study that is complete, and goes on with one that was killed. Raises DataError when there is too little to train on.
    """
    set_up(job.train)
    space = choose_space(table, job, fold)
    job = space.job
    season = season_of(job.series)
    study = _study(work, job.train.seed)
    while len(_done(study)) < LEAST_TRIALS or _spent(study) < seconds:
        trial = study.ask()
        setting = suggest(trial, job, season)
        steps = steps_within(seconds / TRIALS, setting, setting.train["batch_size"])
        place = work / f"trial-{trial.number}"
        member = train_candidate(space, setting, (steps, job.train.seed), place)
        trial.set_user_attr("seconds", member.seconds)
        trial.set_user_attr("steps", max(member.fit.steps if member.fit else 0, 1))
        study.tell(trial, space.watched.wql(member.forecast, job.head.quantiles))
    best = suggest(_fixed(study.best_trial), job, season)
    steps = steps_within(seconds / TRIALS, best, best.train["batch_size"])
    return Tuned(_tuned(job, best, steps), _trials(study, space))


def suggest(trial: Any, job: Job, season: int) -> Setting:
    """The settings of a trial: the space that is searched."""
    longest = job.window.context
    short = short_context(job, season)
    context = trial.suggest_categorical("context", sorted({short, (short + longest) // 2, longest}))
    shared = {
        "cell": trial.suggest_categorical("cell", ["gru", "lstm"]),
        "normalise": trial.suggest_categorical("normalise", ["last", "window"]),
        "dropout": trial.suggest_categorical("dropout", [0.0, 0.1, 0.2, 0.4]),
    }
    linear = trial.suggest_categorical("linear", ["ridge", "fixed_ridge", "none"])
    if linear != "none":
        shared |= {"highway": context, "highway_start": linear}
    units = trial.suggest_categorical("units", [16, 32, 64, 128])
    train = {
        "learning_rate": trial.suggest_categorical("learning_rate", [0.0003, 0.0005, 0.001, 0.002, 0.004]),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
    }
    if trial.suggest_categorical("model", ["segrnn", "stacked"]) == "segrnn":
        segment = min(trial.suggest_categorical("segment", [2, 4, 8, 12, 24, 48]), job.window.horizon, context)
        model = SegRNNModel(params=SegRNN.model_validate({"units": units, "segment": segment, **shared}))
        return Setting(f"segrnn {units}, context {context}", model, context, train)
    layers = trial.suggest_int("layers", 1, 2)
    params = Stacked.model_validate({"units": [units] * layers, **shared})
    return Setting(f"stacked {layers}×{units}, context {context}", StackedModel(params=params), context, train)


def _study(work: Path, seed: int) -> optuna.Study:
    """The study in `work`; a trial that was killed begins again."""
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("gatecast tune needs optuna: install gatecast[train]") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    work.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=f"sqlite:///{(work / 'study.db').as_posix()}",
            study_name="tune",
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, multivariate=True, group=True),
            load_if_exists=True,
        )
    for killed in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(killed.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(killed.params)
    return study


def _done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.trials if trial.value is not None]


def _spent(study: optuna.Study) -> float:
    return float(sum(trial.user_attrs["seconds"] for trial in _done(study)))


def _fixed(best: optuna.trial.FrozenTrial) -> Any:
    import optuna

    return optuna.trial.FixedTrial(best.params)


def _tuned(job: Job, best: Setting, steps: int) -> Job:
    """The job of the best settings."""
    train = job.train.model_copy(update={**best.train, "steps": steps, "epochs": None, "windows_per_epoch": None})
    window = job.window.model_copy(update={"context": best.context})
    return job.model_copy(update={"model": best.model, "train": train, "window": window})


def _trials(study: optuna.Study, space: Space) -> pd.DataFrame:
    """All trials, and the simple methods, by their loss on the same validation windows."""
    rows = [
        {
            MODEL: one.params["model"],
            "settings": ", ".join(f"{name} {value}" for name, value in one.params.items() if name != "model"),
            "steps": one.user_attrs["steps"],
            "seconds": round(one.user_attrs["seconds"], 1),
            "wql": one.value,
        }
        for one in _done(study)
    ]
    rows += [
        {
            MODEL: one.family,
            "settings": "",
            "steps": 0,
            "seconds": 0.0,
            "wql": space.watched.wql(one.forecast, space.job.head.quantiles),
        }
        for one in space.linear()
    ]
    return pd.DataFrame(rows).sort_values("wql", ignore_index=True)
