"""The command `gatecast`, one file a group of commands."""
