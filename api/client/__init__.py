"""Signed HTTP requests to the linkage server."""
