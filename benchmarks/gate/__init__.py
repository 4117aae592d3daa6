"""The gate under siege by challengers of known quality."""
