"""Warm starts: the weights of an older fit, the part of the network that learns, and the windows it reads again."""

from __future__ import annotations

import json
import math
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import pandas as pd

from forecasting.config.job import Job
from forecasting.errors import DataError, TrainingError
from forecasting.nn.layers.segments import SharedRecurrence
from forecasting.series.windows import Windows, slide
from forecasting.training.batches import draw

__all__ = ["begin_with", "freeze", "replayed"]

# recurrent layers that write the forecast; all others read the context
_WRITERS: Final = ("decoder_", "forecaster_")


def begin_with(network: keras.Model, path: Path) -> None:
    """Load the weights of a Keras file into a network built for this job.

    Nothing of the file is executed: its configuration is compared as plain JSON, and arrays are read. Raises
    TrainingError if it is another network.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            theirs = json.loads(archive.read("config.json"))["config"]
        ours = json.loads(network.to_json())["config"]
        if _plain(theirs) != _plain(ours):
            raise TrainingError(
                f"the weights of {path} belong to another network (other layers, inputs, or precision);"
                " use train.init: scratch"
            )
        network.load_weights(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingError(f"the weights of {path} cannot be read: {error}; use train.init: scratch") from error


def freeze(network: keras.Model, init: str) -> None:
    """Freeze the recurrent layers that read the context (`encoder`), or all layers but the head (`head`)."""
    for layer in network.layers:
        if init == "head":
            layer.trainable = layer.name == "head"
        elif init == "encoder" and _reads(layer):
            layer.trainable = False


def replayed(windows: Windows, job: Job, *, since: datetime, until: datetime) -> Windows:
    """All training windows with a target after `since`, and the share `train.replay` of those before, drawn once.

    Raises DataError if none are left.
    """
    share, panel = job.train.replay, windows.panel
    if share == 1:
        return windows
    border, end = panel.rows_at(pd.Timestamp(since)), panel.rows_at(pd.Timestamp(until))
    recent = slide(panel, job.window, max_gap=job.series.max_gap, begin=border - job.window.horizon + 1, end=end)
    old = slide(panel, job.window, max_gap=job.series.max_gap, end=border)
    most = math.ceil(share * len(old))
    rows = old.rows(draw(len(old), job.train.seed, 0, most)) if most else np.empty(0, dtype=np.int64)
    if not len(recent) + len(rows):
        raise DataError(f"no training window after {since}; raise train.replay or bring more data")
    return Windows(
        panel,
        windows.context,
        windows.horizon,
        np.concatenate([recent.first, np.sort(rows)]),
        np.concatenate([recent.count, np.ones(len(rows), dtype=np.int64)]),
        windows.stride,
    )


def _reads(layer: Any) -> bool:
    recurrent = isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional | SharedRecurrence)
    return recurrent and not layer.name.startswith(_WRITERS)


def _plain(config: Any) -> Any:
    """A network's configuration without the numbers that Keras gives to objects in memory, and without what is frozen:
    that is a matter of each fit."""
    if isinstance(config, dict):
        return {name: _plain(value) for name, value in config.items() if name not in {"shared_object_id", "trainable"}}
    return [_plain(value) for value in config] if isinstance(config, list) else config
