"""How pages write numbers and times, and that templates escape."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jinja2 import UndefinedError

from forecasting.runtime.templates import environment, number, percent, stamp


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.23456, "1.235"),
        (-9999.4, "-9999"),
        (12345.6, "12,346"),
        (1e-7, "1e-07"),
        (np.float64("nan"), "–"),
        (None, "–"),
        (float("-inf"), "-inf"),
    ],
)
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    """A missing one is a dash, an infinite one is not hidden."""
    assert number(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.8, "80%"), (0.7986, "79.9%"), (0.99999, "100%"), (None, "–")])
def test_shares_have_one_digit_where_it_tells_something(share: float | None, text: str) -> None:
    """And stand in percent."""
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(pd.Timestamp("2026-01-02 03:04:05"), "2026-01-02 03:04"), ("2026-01-02", "2026-01-02 00:00"), (pd.NaT, "–")],
)
def test_times_go_to_the_minute(value: object, text: str) -> None:
    """However they are given."""
    assert stamp(value) == text


def test_templates_escape_and_refuse_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a package's own folder; the filters are there."""
    (tmp_path / "shop" / "templates").mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "templates" / "price.html").write_text("<b>{{ name }}</b> {{ price | number }}")
    monkeypatch.syspath_prepend(str(tmp_path))
    template = environment("shop").get_template("price.html")
    assert template.render(name="<i>&", price=1.0) == "<b>&lt;i&gt;&amp;</b> 1"
    with pytest.raises(UndefinedError, match="price"):
        template.render(name="tea")
