"""Forecasts of many series, shard by shard: planned, made in processes or on a cluster, kept until the commit."""
