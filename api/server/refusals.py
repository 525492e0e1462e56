"""What the server refuses, and how each refusal is called: the table of ``docs/http-api.md``."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from api.audit.events import Action


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem: its HTTP status and what it is called in words."""

    status: int
    title: str


PROBLEMS: Mapping[str, Problem] = {
    "unsigned": Problem(401, "The request is not signed"),
    "bad-signature": Problem(401, "The signature does not fit"),
    "expired-signature": Problem(401, "The signature is outside the time window"),
    "replayed": Problem(401, "The request was seen before"),
    "bad-login": Problem(401, "Id, password and code do not belong together"),
    "bad-return": Problem(401, "The return from the OpenID provider is not trusted"),
    "no-session": Problem(401, "Not logged in"),
    "forged": Problem(403, "The request does not come from this server's pages"),
    "forbidden": Problem(403, "Not allowed"),
    "not-invited": Problem(403, "Known to the OpenID provider, but not invited here"),
    "second-person": Problem(403, "A second person is needed"),
    "not-found": Problem(404, "Not found"),
    "method-not-allowed": Problem(405, "Not allowed on this address"),
    "wrong-state": Problem(409, "The round's state does not allow it"),
    "conflict": Problem(409, "Exists already, with other content"),
    "not-signed": Problem(409, "The terms are not signed"),
    "not-reviewed": Problem(409, "The review is not read yet"),
    "not-witnessed": Problem(409, "The log is not witnessed yet"),
    "no-confirmation": Problem(409, "The key is not confirmed yet"),
    "wrong-offset": Problem(409, "The upload stands somewhere else"),
    "digest-mismatch": Problem(400, "The body differs from its digest"),
    "cut-off": Problem(400, "The connection broke"),
    "too-large": Problem(413, "Too large"),
    "invalid": Problem(422, "A field is missing or wrong"),
    "wrong-secret": Problem(422, "Encoded with another secret"),
    "wrong-profile": Problem(422, "Encoded by other rules than the terms"),
    "bad-upload": Problem(422, "Not a valid .tqe file"),
    "too-many": Problem(429, "Too many"),
    "internal": Problem(500, "The server failed"),
    "provider-away": Problem(503, "The OpenID provider does not answer"),
    "unavailable": Problem(503, "Not available now"),
}
"""Slug -> problem.  A slug never changes its meaning: programs decide by it."""


class RefusalError(Exception):
    """The server refuses what was asked.

    Attributes:
        slug: a key of :data:`PROBLEMS`.
        detail: what happened and what to do; shown to the caller, never a person's data.
        project, round_id: what it concerned, for the log, where the address does not say it.
        details: ids, hashes and counts for the log.
        errors: field -> messages, for ``invalid``.
        action: how the log calls what was asked for, where the address does not say it.
    """

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        project: str | None = None,
        round_id: str | None = None,
        details: Mapping[str, str | int | None] | None = None,
        errors: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(slug, detail)
        self.slug = slug
        self.detail = detail
        self.project = project
        self.round_id = round_id
        self.details = dict(details or {})
        self.errors = errors
        self.action: Action | None = None

    @property
    def problem(self) -> Problem:
        """Status and title."""
        return PROBLEMS[self.slug]


@contextlib.contextmanager
def naming(action: Action) -> Iterator[None]:
    """Tell the log what a refusal inside the block refused."""
    try:
        yield
    except RefusalError as refusal:
        refusal.action = action
        raise
