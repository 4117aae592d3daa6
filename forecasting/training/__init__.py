"""Fitting networks: the only place, besides `nn`, that needs Keras."""
