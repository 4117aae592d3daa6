"""The fingerprint of a table is that of its content."""

import numpy as np
import pandas as pd

from forecasting.storage.fingerprint import fingerprint
from tests.storage.rows import table


def test_fingerprint_is_that_of_the_content() -> None:
    """Whatever the order of rows and columns; any other value, stamp, label or name gives another one."""
    base = table([1, np.nan, -0.0]).assign(kind=["u", "v", None])
    same = base.iloc[::-1][["kind", "y", "ds", "unique_id"]].replace({-0.0: 0.0})
    assert fingerprint(same) == fingerprint(base)
    others = [
        base.assign(y=[1, np.nan, 1e-300]),
        base.assign(y=[1, 0, -0.0]),
        base.assign(ds=base["ds"] + pd.Timedelta(microseconds=1)),
        base.assign(kind=["v", "u", None]),
        base.assign(kind=["u", "v", "v"]),
        base.rename(columns={"kind": "sort"}),
        base[:2],
    ]
    assert len({fingerprint(frame) for frame in [base, *others]}) == len(others) + 1
    repeated = pd.concat([table([1, 2]), table([2, 1])])
    assert fingerprint(repeated) == fingerprint(repeated.iloc[::-1])
