"""How good links are: evaluation against truth, and synthetic registers to measure on."""
