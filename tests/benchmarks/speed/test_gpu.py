"""The script that stands alone measures on a CPU what it would measure on a GPU."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np

from forecasting.nn.losses import pinball

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "speed" / "gpu.py"
SMALL = ["--batch", "4", "--steps", "1", "--runs", "1", "--side", "64", "--networks", "gru-64", "conv_lstm-16"]


def test_the_script_needs_nothing_of_this_project_and_covers_what_is_asked(tmp_path: Path) -> None:
    """It runs from a copy in an empty folder; every network has a rate in both precisions."""
    copy = tmp_path / "gpu.py"
    copy.write_bytes(SCRIPT.read_bytes())
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", str(copy), *SMALL], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**environment, "KERAS_BACKEND": "jax"}, timeout=280,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["device"] == "cpu"
    assert report["batch"] == 4
    assert report["networks"].keys() == {"gru-64", "conv_lstm-16"}
    for rates in report["networks"].values():
        assert rates.keys() == {"float32", "bfloat16"}
        assert all(rate["keras"] > 0 for rate in rates.values())


def test_the_script_has_the_loss_of_this_project() -> None:
    """Written once more, because the script stands alone."""
    script = runpy.run_path(str(SCRIPT))
    draw = np.random.default_rng(1)
    y, quantiles = draw.normal(size=(3, 24, 1)).astype("float32"), draw.normal(size=(3, 24, 3)).astype("float32")
    assert np.isclose(float(script["pinball"](y, quantiles)), float(pinball(y, quantiles, (0.1, 0.5, 0.9))), atol=1e-6)
