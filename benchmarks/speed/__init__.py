"""How fast training, loading, forecasts, and backtests are, beside other libraries in the same minutes."""
