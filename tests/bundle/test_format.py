"""Bundles of format 2 that lie in the repository open forever after, and forecast what they forecast then."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import FORMAT
from forecasting.bundle.forecaster import open_forecaster
from forecasting.columns import DS, UNIQUE_ID

KEPT = Path(__file__).parent / "format_2"  # written once; a change of these files would defeat their purpose


@pytest.mark.parametrize("kind", ["numbers", "symbols"])
def test_a_bundle_of_format_2_answers_as_it_did(kind: str) -> None:
    """The columns and values of the forecast that was stored beside it."""
    text = {"unique_id": "str", "y": "str", "symbol": "str"} if kind == "symbols" else {"unique_id": "str"}
    history, expected = (
        pd.read_csv(KEPT / f"{kind}-{part}.csv", dtype=text, parse_dates=[column])
        for part, column in (("history", "ds"), ("forecast", "ds"))
    )
    found = open_forecaster(KEPT / kind).forecast(history.astype({DS: "datetime64[us]"}))
    assert list(found) == list(expected)
    assert found[UNIQUE_ID].tolist() == expected[UNIQUE_ID].tolist()
    for name in found:
        if pd.api.types.is_float_dtype(found[name]):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)
        else:
            assert found[name].astype(str).tolist() == expected[name].astype(str).tolist()


def test_this_release_writes_the_format_that_it_keeps() -> None:
    """Another format needs bundles of its own beside these, and a decision on whether the old ones still open."""
    assert FORMAT == 2
