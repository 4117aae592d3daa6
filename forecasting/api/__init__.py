"""The Python API: a table in, a model, its judgment, and its forecasts out; no registry and no home before `run`."""
