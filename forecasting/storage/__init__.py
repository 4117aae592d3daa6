"""Delta tables: observations and forecasts, appended, read, compacted, versioned."""
