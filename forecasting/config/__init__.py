"""The configuration: one YAML is one job; plain data, checked once at the edge, without NumPy or Keras."""
