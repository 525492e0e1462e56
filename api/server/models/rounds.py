"""Rounds, and what their offices signed and uploaded."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.server.models.base import ID_LENGTH, SHA256_LENGTH, Base, UtcDateTime
from api.server.models.deliveries import Receipt, Withdrawal
from api.server.round_states import State

_STATES = ", ".join(f"'{state}'" for state in State)


class Round(Base):
    """One linkage of a project's registers, under terms that every office signed."""

    __tablename__ = "rounds"
    __table_args__ = (CheckConstraint(f"state IN ({_STATES})", name="ck_rounds_state"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    terms: Mapped[str] = mapped_column(Text)
    """RFC 8785 form: what the offices sign."""
    terms_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    profile: Mapped[str] = mapped_column(Text, deferred=True)
    """The encoding profile, TOML text."""
    coordinating_office: Mapped[str] = mapped_column(ForeignKey("members.id"))
    key_confirmation: Mapped[str | None] = mapped_column(String(32))
    """What uploads are checked against.  It stays when the coordinating office's keys are revoked:
    the new ones may not confirm another secret beside files that were encoded with this one."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(ID_LENGTH))
    retained_until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When encodings and links go: set when the round opens, and anew when it is released."""
    ran_by: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    failure: Mapped[str | None] = mapped_column(Text)
    review: Mapped[str | None] = mapped_column(Text, deferred=True)
    """Aggregates for the operators, JSON text, small cells suppressed already.  Among a hundred
    offices this is a megabyte, so who needs it asks for it."""
    links_sha256: Mapped[str | None] = mapped_column(String(SHA256_LENGTH))

    stage: Mapped[str | None] = mapped_column(String(32))
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    n_pairs: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    n_candidates: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    pairs_per_s: Mapped[float | None]
    seconds_left: Mapped[float | None]
    """Of the stage."""
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)

    offices: Mapped[list["RoundOffice"]] = relationship(order_by="RoundOffice.office_id")
    signatures: Mapped[list["Signature"]] = relationship(order_by="Signature.office_id")
    uploads: Mapped[list["Upload"]] = relationship(order_by="Upload.office_id")
    withdrawals: Mapped[list[Withdrawal]] = relationship(order_by=Withdrawal.office_id)
    receipts: Mapped[list[Receipt]] = relationship(order_by=Receipt.office_id)
    requests: Mapped[list["PendingRequest"]] = relationship(
        order_by="PendingRequest.what, PendingRequest.office_id"
    )
    history: Mapped[list["StateChange"]] = relationship(order_by="StateChange.id")

    def enter_stage(self, stage: str | None) -> None:
        """Begin a stage of the matching; nothing is known of it yet."""
        self.stage, self.done, self.total = stage, 0, 0
        self.n_pairs = self.n_candidates = 0
        self.pairs_per_s = self.seconds_left = None

    def has_office(self, office: str) -> bool:
        """Whether the office takes part, with records or as the coordinating office."""
        return office == self.coordinating_office or self.has_records_of(office)

    def has_records_of(self, office: str) -> bool:
        """Whether the office uploads and receives links in this round."""
        return any(entry.office_id == office for entry in self.offices)

    def is_signed_by(self, office: str) -> bool:
        """Whether the office has signed the terms."""
        return any(entry.office_id == office for entry in self.signatures)

    @property
    def is_key_confirmed(self) -> bool:
        """Whether the coordinating office confirms the key, as it does by signing the terms."""
        return self.key_confirmation is not None and self.is_signed_by(self.coordinating_office)

    def has_left(self, office: str) -> bool:
        """Whether the office is out of the round, by its own will or not."""
        return any(entry.office_id == office for entry in self.withdrawals)

    def upload_of(self, office: str) -> "Upload | None":
        """What the office has uploaded."""
        return next((entry for entry in self.uploads if entry.office_id == office), None)


class RoundOffice(Base):
    """An office that brings records to a round."""

    __tablename__ = "round_offices"

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(ID_LENGTH))


class Signature(Base):
    """An office's signature of a round's terms."""

    __tablename__ = "signatures"

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    terms_sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    signature: Mapped[str] = mapped_column(String(88))
    """Base64 of the Ed25519 signature."""
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Upload(Base):
    """An encoded file that has arrived whole, was checked and is in its place."""

    __tablename__ = "uploads"
    # The same file from two offices would be one office's encodings under another's name.
    __table_args__ = (UniqueConstraint("round_id", "sha256"),)

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    office_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    n_records: Mapped[int] = mapped_column(BigInteger)
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PendingRequest(Base):
    """What one operator has asked for and another must ask for too, before it is done."""

    __tablename__ = "pending_requests"

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    what: Mapped[str] = mapped_column(String(16), primary_key=True)
    """``exclude`` or ``expire``."""
    office_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """The office to take out; empty where it is about the whole round."""
    by: Mapped[str] = mapped_column(String(ID_LENGTH))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    """Nobody may join in any more after this."""


class StateChange(Base):
    """One line of a round's history."""

    __tablename__ = "state_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(ID_LENGTH))
