"""One whole round on invented data, every role in its own process."""
