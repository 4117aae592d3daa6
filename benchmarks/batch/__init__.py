"""Batch forecasts end to end, and a peer on as many series."""
