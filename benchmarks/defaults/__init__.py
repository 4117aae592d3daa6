"""What somebody gets who names a file, a frequency and a horizon, and leaves the rest to Gatecast."""
