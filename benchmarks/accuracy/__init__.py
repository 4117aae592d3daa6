"""Accuracy on public benchmarks, by their own protocols."""
