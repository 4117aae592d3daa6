"""How layers are written as ONNX operators: one function per layer class, listed in `forecasting.nn.export`."""
