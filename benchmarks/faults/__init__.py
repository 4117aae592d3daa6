"""Faults that are planted while real commands, servers and databases are at work."""
