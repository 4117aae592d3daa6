"""Registered versions of the buoy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from forecasting.registry.registry import Registry
from tests.registry.buoy import JOB, write_bundle


@pytest.fixture
def register(registry: Registry, tmp_path: Path) -> Callable[[int], int]:
    """Registers the bundle of a seed in a run of its own."""

    def call(seed: int) -> int:
        run = registry.runs.start(JOB, f"key{seed}", {"seed": seed})
        bundle = write_bundle(tmp_path / f"bundle-{seed}", seed=seed)
        return registry.versions.register(JOB, run.run_id, bundle, verdict="passed", metrics={"wql": 0.1 * seed})

    return call
