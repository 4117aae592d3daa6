"""Inspection of a live model: its reach into the past, and the causes of a forecast."""
