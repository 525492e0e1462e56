"""Encodings in, links out: candidates, compare, score, solve."""
