"""What looking inside tells: whether advice on the context holds, how gradients fade, what units track."""
