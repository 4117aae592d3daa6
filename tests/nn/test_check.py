"""What a head asks of the rest of the job."""

from collections.abc import Callable
from typing import Any

import pytest

from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.nn.check import check

COUNTS: dict[str, Any] = {"integer": True, "lower": 0, "scale": "none"}


@pytest.mark.parametrize("head", ["quantile", "normal", "student_t"])
@pytest.mark.parametrize("series", [{}, COUNTS, {"transform": "log1p", "lower": 0, "scale": "robust"}])
def test_numbers_of_any_kind_suit_the_other_heads(
    head: str, series: dict[str, Any], make_job: Callable[..., Job]
) -> None:
    """Scaled, transformed or neither."""
    check(make_job(series, head={"name": head}))


def test_counts_as_they_are_suit_the_negative_binomial(make_job: Callable[..., Job]) -> None:
    """Whole, never negative, neither scaled nor transformed."""
    check(make_job(COUNTS, head={"name": "negative_binomial"}))
    check(make_job({**COUNTS, "lower": 1}, head={"name": "negative_binomial"}))


@pytest.mark.parametrize(
    ("series", "parts"),
    [
        ({}, ("3 other", "integer: true", "lower: 0 or more", "(got none)", "scale: none", "(got standard)")),
        ({**COUNTS, "lower": -1}, ("1 other", "lower: 0 or more", "(got -1.0)")),
        ({**COUNTS, "transform": "log1p"}, ("1 other", "transform: none", "(got log1p)")),
        ({**COUNTS, "integer": False}, ("1 other", "integer: true", "(got false)")),
    ],
)
def test_anything_but_counts_is_refused_with_all_reasons(
    series: dict[str, Any], parts: tuple[str, ...], make_job: Callable[..., Job]
) -> None:
    """One error lists every setting that does not fit, what it is and what it must be."""
    with pytest.raises(ConfigError) as caught:
        check(make_job(series, head={"name": "negative_binomial"}))
    assert all(part in str(caught.value) for part in parts)


def test_codes_need_the_network_of_symbols(make_job: Callable[..., Job]) -> None:
    """A categorical head on another network is refused, and the right one is named."""
    with pytest.raises(ConfigError, match=r"model\.name: in_step, the network of symbols \(got stacked\)"):
        check(make_job(head={"name": "categorical"}))


def test_all_parts_of_a_job_are_looked_at_before_it_is_refused(make_job: Callable[..., Job]) -> None:
    """A wrong network and a head that does not fit are told together."""
    with pytest.raises(ConfigError) as caught:
        check(make_job(model={"name": "stacked", "params": {"cells": "gru"}}, head={"name": "negative_binomial"}))
    assert "did you mean cell?" in str(caught.value)
    assert "series.integer: true" in str(caught.value)
