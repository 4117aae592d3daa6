"""Gatecast: forecasts of sequential data with Keras recurrent networks, judged before they go live.

The Python API is `job`, `load`, `fit`, `backtest`, `open`, and `run`; each is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecasting.api.fitting import fit
    from forecasting.api.jobs import job, load
    from forecasting.api.judging import backtest
    from forecasting.api.model import open_model as open  # noqa: A004  (forecasting.open, as in the documentation)
    from forecasting.api.running import run

__all__ = ["backtest", "fit", "job", "load", "open", "run"]

__version__ = "0.1.0"

_PLACES = {
    "backtest": "judging:backtest",
    "fit": "fitting:fit",
    "job": "jobs:job",
    "load": "jobs:load",
    "open": "model:open_model",
    "run": "running:run",
}


def __getattr__(name: str) -> Any:
    """Load a function of the API when it is first asked for (PEP 562); raises ConfigError if its extra is missing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from forecasting.errors import not_installed

    module, function = _PLACES[name].split(":")
    try:
        globals()[name] = getattr(import_module(f"{__name__}.api.{module}"), function)
    except ModuleNotFoundError as error:
        raise (not_installed(error) or error) from error
    return globals()[name]


def __dir__() -> list[str]:
    """What the package offers, loaded or not."""
    return sorted({*globals(), *__all__})
