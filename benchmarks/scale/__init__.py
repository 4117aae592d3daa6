"""What ten million series would take, from measured costs."""
