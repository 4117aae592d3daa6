"""The shipped artifact: a directory of data files, and the code that forecasts from it without any training package."""
