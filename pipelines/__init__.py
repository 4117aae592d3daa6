"""Prefect flows: when and in which order the library's functions run, with retries, timeouts, and child processes."""
