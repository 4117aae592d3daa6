"""HTTP routes, one file for each protocol."""
