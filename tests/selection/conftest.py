"""What the tests of the selection share."""

from typing import Any

import pytest


@pytest.fixture(scope="package", autouse=True)
def short() -> Any:
    """A search in which a network takes twenty steps."""
    patch = pytest.MonkeyPatch()
    patch.setattr("forecasting.selection.candidates.LEAST_STEPS", 20)
    yield
    patch.undo()
