"""The program's own log: JSON lines on stderr, for who runs the server.

It names rounds, requests and figures.  It names no person, no office that asked for something, no
address and no record: that is in the access log, which people are accountable for.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_FIELDS: Final = (
    "request", "method", "route", "status", "duration_ms", "role", "round", "n_links", "n_rounds",
    "n_files", "n_archives", "tables", "error", "frames", "address",
)  # fmt: skip


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the fields of :data:`_FIELDS` that a record has."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, fields; of an exception its type only."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False)


def start_logging(level: int = logging.INFO) -> None:
    """Send the program's log, and that of the libraries, to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("tongqiao", "linkage"):
        logging.getLogger(name).setLevel(level)
