"""Composes the matching stages: encoded datasets in, links out; the first code to read."""
