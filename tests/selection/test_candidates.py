"""The networks that are tried first suit the number of windows."""

import pytest

from forecasting.selection.candidates import candidates
from tests.selection.small import made


@pytest.mark.parametrize(("windows", "starts"), [(1_000, ["fixed_ridge"] * 2), (20_000, ["ridge", "fixed_ridge"])])
def test_a_fitted_line_learns_on_where_there_are_many_windows(windows: int, starts: list[str]) -> None:
    """With few it stays first; none is tried twice, and none is left out."""
    job, _, _ = made()
    listed = candidates(job, 24, windows)
    assert [one.model.params.highway_start for one in listed[:2]] == starts
    titles = [one.title for one in listed]
    assert len(set(titles)) == len(titles)
    assert set(titles) == {one.title for one in candidates(job, 24, 5_000)}


def test_a_network_reads_further_back_where_that_is_worth_trying() -> None:
    """It comes last, with a ridge over all that it reads; otherwise no candidate reads more than the job does."""
    job, _, _ = made()
    listed, usual = candidates(job, 24, 1_000, 48), candidates(job, 24, 1_000)
    assert listed[:-1] == usual
    assert (listed[-1].context, listed[-1].model.params.highway) == (48, 48)
    assert max(one.context for one in usual) == job.window.context
