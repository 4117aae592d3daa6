"""Measurements that take minutes; each is a command, see docs/benchmarks.md."""
