"""Which addresses are this very machine: only there may anything listen or be called in plain."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host, by address or as ``localhost``, is reached from this machine only.

    Other names count as elsewhere, whatever they resolve to today.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
