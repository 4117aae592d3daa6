"""Layers of our own, one family a file, each serialisable in the package "gatecast"."""
