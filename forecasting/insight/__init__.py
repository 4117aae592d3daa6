"""What a live model does with what it reads: how far back it looks, and what moved a forecast."""
