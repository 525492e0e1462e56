"""Server addresses: what a command accepts after ``--server``."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from linkage.loopback import is_loopback


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a linkage server is.

    Attributes:
        origin: ``scheme://host[:port]`` without a trailing slash.
        host: ``host[:port]``, for messages.
        loopback: whether the server is this very machine.
    """

    origin: str
    host: str
    loopback: bool


def parse_server_address(text: str) -> ServerAddress:
    """Parse an address such as ``https://linkage.example.org``.

    Plain http is taken only for this machine itself: elsewhere anyone on the way could read and
    change what is said.

    Raises:
        ValueError: it is no such address; the message says what is expected.
    """
    try:
        parts = urlsplit(text.strip())
        name, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(
            "This is not a web address. Write https://HOST or https://HOST:PORT."
        ) from error
    if parts.scheme not in ("http", "https") or not name:
        raise ValueError("Write the whole address, as https://HOST or https://HOST:PORT.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("No user name or password belongs in the address: requests are signed.")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("Write the address of the server alone, without a path behind it.")
    if not (name.isascii() and name.isprintable()) or " " in name:
        raise ValueError("Write the server's name in ASCII letters.")
    loopback = is_loopback(name)
    if parts.scheme == "http" and not loopback:
        raise ValueError("Plain http is only for a server on this machine. Write https://...")
    host = f"[{name}]" if ":" in name else name
    if port is not None:
        host = f"{host}:{port}"
    return ServerAddress(origin=f"{parts.scheme}://{host}", host=host, loopback=loopback)
