"""A simulated year of the loop, beside models that nobody touches."""
