"""Forecasts of many series, shard by shard: planned, scored in processes or on a cluster, kept until the commit."""
