"""The access log: append-only, Merkle-hashed, verified offline."""
