"""The watch on a live model: what came of its forecasts, whether the world has changed, and what to do about it."""
