"""The linkage server: routes call services, services call models."""
