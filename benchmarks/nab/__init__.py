"""Anomalies: the detector on files of the Numenta Anomaly Benchmark, scored by its rules."""
