"""Networks over arrays: cells, layers, heads, and models in `keras.ops` only, and their export to ONNX."""
