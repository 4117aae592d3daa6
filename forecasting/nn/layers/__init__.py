"""Custom layers, one family per file, each serializable in the package "gatecast"."""
