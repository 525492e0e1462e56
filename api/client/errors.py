"""What can go wrong between a command and the linkage server."""

_MAX_DETAIL_CHARACTERS = 1000


class ApiError(Exception):
    """The server refused a request, or could not be asked at all.

    Attributes:
        slug: last part of the problem's type in ``docs/http-api.md``; ``bad-address``,
            ``unreachable``, ``timeout``, ``untrusted-server`` and ``bad-answer`` are the client's.
        status: HTTP status, 0 where there was no answer.
        detail: what happened and what to do, free of control characters.
        request_id: the server's name for the request, to find it in the log; or ``None``.
    """

    def __init__(self, slug: str, status: int, detail: str, request_id: str | None = None) -> None:
        self.slug = printable(slug)
        self.status = status
        self.detail = printable(detail)
        self.request_id = None if request_id is None else printable(request_id)
        super().__init__(self.slug, self.status, self.detail)

    def __str__(self) -> str:
        if self.request_id is None:
            return self.detail
        return f"{self.detail} (request {self.request_id})"


def printable(text: str, max_characters: int = _MAX_DETAIL_CHARACTERS) -> str:
    """Text from elsewhere on one line, shortened, without control or format characters.

    A terminal obeys escape sequences, so text that another machine sent must hold none.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= max_characters else line[: max_characters - 1] + "…"
