"""What all sources share: a raw frame of any layout becomes a long table with UTC stamps."""
