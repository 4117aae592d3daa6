"""What the benchmarks share: their command lines, processes and servers, memory, made-up readings, fits."""
