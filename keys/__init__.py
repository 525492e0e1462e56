"""Secrets and identities; imports neither ``linkage`` nor ``api``."""
