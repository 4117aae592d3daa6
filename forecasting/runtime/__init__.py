"""What any program needs from the machine: files that appear whole, processes that end, locks, provenance."""
