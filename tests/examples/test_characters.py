"""Characters: what stands before a character tells much about it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from examples import characters
from forecasting import sources
from forecasting.bundle.generation import Sampling
from forecasting.config.job import load_job
from forecasting.config.network import InStep


def test_a_little_training_beats_the_frequencies_of_characters(datasets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small part, a small network is well below the nats of a character alone, and writes known characters."""
    monkeypatch.setenv("GATECAST_DATASETS", str(datasets))
    job = load_job(characters.CONFIG)
    text = characters.split(sources.read(job)["y"].tolist()[:100_000])
    small = InStep(units=(64,), width=32)
    train = job.train.model_copy(update={"epochs": 3, "batch_size": 16, "learning_rate": 0.01})
    model = characters.fit(text, small, train, steps=job.window.context)
    counts = Counter(text.train)
    alone = -np.mean([np.log((counts[c] + 1) / (len(text.train) + len(counts))) for c in text.test])
    assert alone > 3.0
    assert characters.nats(model, text) < alone - 0.8
    assert set(model.extend(text.test[-50:], 100, Sampling(1.0)).symbols) <= set(text.train)
