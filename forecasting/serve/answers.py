"""What a model answers: forecasts, the series that have none, and the warnings."""

from __future__ import annotations

from typing import NamedTuple

from forecasting.bundle.cautions import Caution
from forecasting.bundle.forecasts import Forecasts

__all__ = ["Answer"]


class Answer(NamedTuple):
    """The forecasts in the order of the request, the names of the series without any, and the warnings."""

    found: Forecasts
    skipped: list[str]
    cautions: tuple[Caution, ...]
