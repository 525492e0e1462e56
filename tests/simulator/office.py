"""An office, as the server meets it: it signs terms, uploads and fetches its links."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from api.server.services.results import link_line
from keys import labels
from keys.canonical import canonical_json
from keys.cipher_suites import CIPHER_SUITES
from keys.epochs import rotate_identity
from keys.identity import PrivateIdentity
from keys.linkage_secret import LinkageSecret
from keys.signing import sign_document
from tests.simulator.answers import Answer
from tests.simulator.party import Party


class Office(Party):
    """An office: signs terms, uploads, fetches its links."""

    def enrols(self) -> Answer:
        """Send the public identity."""
        assert self.identity is not None
        body = self.identity.public.to_json()
        return self.sends("POST", "/v1/members", body, content_type="application/json")

    def signs(
        self,
        round_id: str,
        *,
        terms: Mapping[str, Any] | None = None,
        secret: LinkageSecret | None = None,
        office: str | None = None,
        signer: PrivateIdentity | None = None,
    ) -> Answer:
        """Sign the terms of a round, with ``secret`` as the coordinating office does."""
        document = terms or self.server.terms_of(round_id)
        data = canonical_json(dict(document))
        private = signer or self.identity
        assert private is not None
        signature = sign_document(private.signing_private, labels.TERMS, data)
        body = {
            "terms_sha256": hashlib.sha256(data).hexdigest(),
            "signature": base64.b64encode(signature).decode(),
        }
        if secret is not None:
            context = f"{document['project']}/{document['round']}"
            suite = CIPHER_SUITES[document.get("cipher_suite", "default")]
            body["key_confirmation"] = secret.key_confirmation(context, suite)
        return self.puts(f"/v1/rounds/{round_id}/signatures/{office or self.id}", body)

    def uploads(
        self,
        round_id: str,
        data: bytes,
        *,
        office: str | None = None,
        arriving: bytes | None = None,
    ) -> Answer:
        """Upload an encoded file."""
        return self.puts_bytes(
            f"/v1/rounds/{round_id}/uploads/{office or self.id}", data, arriving=arriving
        )

    def begins(self, round_id: str, data: bytes) -> Answer:
        """Begin an upload in pieces."""
        body = {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
        return self.posts(f"/v1/rounds/{round_id}/uploads/{self.id}/part", body)

    def appends(
        self, round_id: str, offset: int, data: bytes, *, arriving: bytes | None = None
    ) -> Answer:
        """Send a piece of an upload; ``arriving`` is what arrives of it before a break."""
        cut = arriving is not None and data.startswith(arriving) and arriving != data
        return self.sends(
            "PATCH",
            f"/v1/rounds/{round_id}/uploads/{self.id}/part?offset={offset}",
            data,
            content_type="application/octet-stream",
            arriving=arriving,
            environ={"CONTENT_LENGTH": str(len(data))} if cut else None,
        )

    def completes(self, round_id: str, data: bytes) -> Answer:
        """Have an upload in pieces stored."""
        body = {"sha256": hashlib.sha256(data).hexdigest()}
        return self.posts(f"/v1/rounds/{round_id}/uploads/{self.id}/part/completion", body)

    def reads_part(self, round_id: str) -> Answer:
        """Ask where an upload in pieces stands."""
        return self.gets(f"/v1/rounds/{round_id}/uploads/{self.id}/part")

    def drops(self, round_id: str) -> Answer:
        """Give up an upload in pieces."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/uploads/{self.id}/part")

    def reads_upload(self, round_id: str, office: str | None = None) -> Answer:
        """Read the status of an upload."""
        return self.gets(f"/v1/rounds/{round_id}/uploads/{office or self.id}")

    def withdraws(self, round_id: str, office: str | None = None) -> Answer:
        """Withdraw an upload."""
        return self.sends("DELETE", f"/v1/rounds/{round_id}/uploads/{office or self.id}")

    def reads_results(self, round_id: str, office: str | None = None, query: str = "") -> Answer:
        """Read a page of results."""
        return self.gets(f"/v1/rounds/{round_id}/results/{office or self.id}{query}")

    def rotates_to(self, new: "Office") -> Answer:
        """Name new keys, with the present ones."""
        assert self.identity is not None
        assert new.identity is not None
        rotation = rotate_identity(self.identity, new.identity)
        return self.sends(
            "PUT", f"/v1/members/{self.id}/key", rotation.to_json(),
            content_type="application/json",
        )  # fmt: skip

    @staticmethod
    def receipt_of(links: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What an office says that has these links."""
        lines = b"".join(link_line(link) for link in links)
        return {"links_sha256": hashlib.sha256(lines).hexdigest(), "n_links": len(links)}

    def acknowledges(self, round_id: str, links: Sequence[Mapping[str, Any]]) -> Answer:
        """Say that these links have arrived."""
        path = f"/v1/rounds/{round_id}/results/{self.id}/receipt"
        return self.puts(path, self.receipt_of(links))

    def leaves(self, round_id: str, office: str | None = None) -> Answer:
        """Withdraw from a released round."""
        return self.sends("PUT", f"/v1/rounds/{round_id}/withdrawals/{office or self.id}")
