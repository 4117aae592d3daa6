"""Services of the machine: files that appear whole, processes that end, locks, provenance."""
