"""What is shipped: a directory of data files, and what turns it into forecasts without any training package."""
