"""Inspection: from a file that nobody has described to a job, each of whose keys says why it is so."""
