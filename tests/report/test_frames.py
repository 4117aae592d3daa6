"""What the pictures of frames hold: values, empty places, errors, and one frame of the animation for each cutoff."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from forecasting.report.frames import Shown, animation, picture


@pytest.fixture
def several() -> list[Shown]:
    """Three forecasts of 2 × 3 cells, one of them land."""
    draw = np.random.default_rng(0)
    found = []
    for day in (1, 2, 3):
        last, forecast, actual = draw.normal(size=(3, 2, 3))
        last[1, 1] = forecast[1, 1] = actual[1, 1] = np.nan
        found.append(Shown(pd.Timestamp(2024, 1, day), 2, last, forecast, actual))
    return found


def maps(figure: go.Figure) -> list[np.ndarray]:
    """The values of all maps."""
    return [np.asarray(trace.z, dtype=float) for trace in figure.data]


def test_picture_shows_last_frame_forecast_actual_and_error(several: list[Shown]) -> None:
    """Four maps; the error is forecast minus actual, land is empty, three of the maps have colors in common."""
    figure = picture(several[0])
    last, forecast, actual, error = maps(figure)
    np.testing.assert_allclose(last, several[0].last, rtol=1e-6)
    np.testing.assert_allclose(error, forecast - actual, atol=1e-6)
    assert np.isnan(error[1, 1])
    assert [trace.coloraxis for trace in figure.data] == ["coloraxis"] * 3 + ["coloraxis2"]
    assert figure.layout.coloraxis2.cmin == -figure.layout.coloraxis2.cmax


def test_animation_has_a_frame_for_each_cutoff(several: list[Shown]) -> None:
    """Each holds its own values, and the slider names it."""
    figure = animation(several)
    assert [frame.name for frame in figure.frames] == [step.label for step in figure.layout.sliders[0].steps]
    for frame, one in zip(figure.frames, several, strict=True):
        np.testing.assert_allclose(np.asarray(frame.data[1].z, dtype=float), one.forecast, rtol=1e-6)


def test_nothing_known_of_the_future_is_no_error(several: list[Shown]) -> None:
    """A forecast whose frame has not come yet is drawn without an actual."""
    unknown = several[0]._replace(actual=np.full((2, 3), np.nan))
    assert np.isnan(maps(picture(unknown))[3]).all()
