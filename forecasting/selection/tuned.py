"""What a study found, as another process reads it: without Keras."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from forecasting.config.job import Job

__all__ = ["Tuned"]


class Tuned(NamedTuple):
    """The job with the best settings, and all trials beside the simple methods."""

    job: Job
    trials: pd.DataFrame  # model, settings, steps, seconds, wql on the validation windows; the best first
