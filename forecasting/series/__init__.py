"""Tables, never tensors: from a source to checked, ordered, scaled windows over long tables."""
