"""The forecast service: a model slot per registered name, batching, HTTP routes and a page for people."""
