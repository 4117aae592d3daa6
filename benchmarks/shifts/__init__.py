"""Faults of every kind in simulated series: how long until the monitor notices, and how often it is wrong."""
