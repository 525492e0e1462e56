"""The address of a request exactly as it arrived, before anything decodes it.

What was signed must be what is routed.  All addresses of this server are written in plain
characters, so one that holds anything else (percent-encoding, doubled slashes, dot segments, an
absolute form) has two readings and is no address here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATH = re.compile(r"/[A-Za-z0-9._/-]*")
_QUERY = re.compile(r"[A-Za-z0-9._=&-]*")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """Where a request goes.

    Attributes:
        host: the ``Host`` header, lower case.
        url: scheme, host, path and query, as signed.
    """

    host: str
    url: str


def read_target(environ: Mapping[str, Any]) -> RequestTarget | None:
    """The target of a WSGI request; ``None`` where what was sent is not what was decoded."""
    path, query = str(environ.get("PATH_INFO", "")), str(environ.get("QUERY_STRING", ""))
    target = f"{path}?{query}" if query else path
    sent = environ.get("RAW_URI", environ.get("REQUEST_URI", target))
    host = str(environ.get("HTTP_HOST", ""))
    if (
        sent.removesuffix("?") != target
        or environ.get("SCRIPT_NAME")
        or not _PATH.fullmatch(path)
        or not _QUERY.fullmatch(query)
        or not _HOST.fullmatch(host)
        or "//" in path
        or any(segment in (".", "..") for segment in path.split("/"))
    ):
        return None
    return RequestTarget(host.lower(), f"{environ['wsgi.url_scheme']}://{host}{sent}")
