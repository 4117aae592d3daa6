"""Charts of a report, by the values that they draw."""

import numpy as np
import pandas as pd

from forecasting.report import figures


def test_the_losses_of_two_fits_are_two_lines() -> None:
    """Each line ends with its fit, rather than going back to the first epoch."""
    fits = {"epoch": [1, 2, 1, 2], "loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [8.0, 7.0, 6.0, 5.0], "fold": [0, 0, 1, 1]}
    training, validation = figures.curves(pd.DataFrame(fits)).data
    np.testing.assert_array_equal(training.x, [1, 2, 2, 1, 2, 2])
    np.testing.assert_array_equal(training.y, [4, 3, np.nan, 2, 1, np.nan])
    np.testing.assert_array_equal(validation.y, [8, 7, np.nan, 6, 5, np.nan])
