"""What a fit leaves behind; light, so that whoever only reads it needs no Keras."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

__all__ = ["Fitted"]


class Fitted(NamedTuple):
    """A finished fit: where its bundle is, how the loss went, and what trained it."""

    bundle: Path
    curves: pd.DataFrame  # epoch, loss, val_loss, seconds
    devices: tuple[str, ...]
