"""Files of strangers: what `gatecast try` finds in them, and how it ends."""
