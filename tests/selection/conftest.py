"""What the tests of the selection share."""

from typing import Any

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers with a fixed seed."""
    return np.random.default_rng(7)


@pytest.fixture(scope="package", autouse=True)
def short() -> Any:
    """A search in which a network takes twenty steps."""
    patch = pytest.MonkeyPatch()
    patch.setattr("forecasting.selection.candidates.LEAST_STEPS", 20)
    yield
    patch.undo()
