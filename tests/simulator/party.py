"""Whoever sends signed requests, whatever the role."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.audit.cosignature import cosign, witness_name
from api.audit.note import parse_checkpoint, parse_note
from keys.identity import PrivateIdentity
from keys.request_signing import content_digest, sign_request
from tests.simulator.answers import Answer

if TYPE_CHECKING:
    from tests.simulator.server import SimulatedServer

BASE_URL = "https://linkage.example"


@dataclass
class Party:
    """Someone who sends signed requests; ``None`` for someone without keys."""

    server: "SimulatedServer"
    identity: PrivateIdentity | None

    @property
    def id(self) -> str:
        """Id of the office or person."""
        assert self.identity is not None
        return self.identity.public.holder

    def sends(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        arriving: bytes | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request.

        Args:
            headers: instead of signing: the headers of a request signed before.
            arriving: what arrives instead of the body that was signed.
            environ: variables of the WSGI environment to set.
        """
        if headers is None:
            headers = self.signs_request(method, path, body)
        return self.server.ask(
            method,
            path,
            body if arriving is None else arriving,
            dict(headers) | ({} if content_type is None else {"Content-Type": content_type}),
            environ,
        )

    def signs_request(
        self, method: str, path: str, body: bytes = b"", *, nonce: str | None = None
    ) -> dict[str, str]:
        """Headers of a signed request."""
        if self.identity is None:
            return {}
        return sign_request(
            self.identity,
            method,
            BASE_URL + path,
            content_digest(body),
            created=int(self.server.clock().timestamp()),
            nonce=nonce,
        )

    def gets(self, path: str) -> Answer:
        """GET."""
        return self.sends("GET", path)

    def posts(self, path: str, value: Any) -> Answer:
        """POST JSON."""
        return self.sends("POST", path, json.dumps(value).encode(), content_type="application/json")

    def puts(self, path: str, value: Any) -> Answer:
        """PUT JSON."""
        return self.sends("PUT", path, json.dumps(value).encode(), content_type="application/json")

    def puts_bytes(self, path: str, data: bytes, *, arriving: bytes | None = None) -> Answer:
        """PUT bytes."""
        return self.sends(
            "PUT", path, data, content_type="application/octet-stream", arriving=arriving
        )

    def cosigns(self, checkpoint: bytes | None = None, *, name: str | None = None) -> Answer:
        """Witness the log: cosign a checkpoint, the present one if none is given."""
        assert self.identity is not None
        note = parse_note(checkpoint or self.gets("/v1/log/checkpoint").body)
        size = parse_checkpoint(note.text).size
        witness = witness_name(self.server.installation.log_key.origin, name or self.id)
        now = int(self.server.clock().timestamp())
        line = cosign(self.identity.signing_private, witness, note.text, now)
        return self.posts("/v1/log/cosignatures", {"size": size, "line": line.to_text()})

    def reads_round(self, round_id: str) -> Answer:
        """Read a round."""
        return self.gets(f"/v1/rounds/{round_id}")
