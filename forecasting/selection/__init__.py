"""Which network, and with which settings: candidates, search, ensemble, chosen on the validation span alone."""
