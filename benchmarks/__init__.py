"""Measurements that take minutes. Every module and package here but `harness` is a command, see docs/benchmarks.md."""
