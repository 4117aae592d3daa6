"""Small tables to store."""

import numpy as np
import pandas as pd


def table(y: list[float], ids: str = "a", start: str = "2024-01-01") -> pd.DataFrame:
    """An hourly long table."""
    ds = pd.date_range(start, periods=len(y), freq="h", unit="us")
    return pd.DataFrame({"unique_id": pd.Series([ids] * len(y), dtype="str"), "ds": ds, "y": np.array(y, dtype=float)})


def forecasts(version: int, cutoff: str = "2024-01-01", rows: int = 3) -> pd.DataFrame:
    """Forecasts of one cutoff by one model version."""
    frame = table([float(version)] * rows, start=cutoff).rename(columns={"y": "q0.5"})
    return frame.assign(cutoff=pd.Timestamp(cutoff).as_unit("us"), version=version, model="stacked")
