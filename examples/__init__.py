"""Worked cases: what recurrent networks can and cannot do, each a page over the library; see docs/examples.md."""
