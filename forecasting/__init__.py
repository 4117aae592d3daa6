"""Gatecast: forecasts of sequential data with Keras recurrent networks, judged before they go live."""

__version__ = "0.1.0"
