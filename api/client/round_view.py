"""What the server says of rounds, checked: who has signed and uploaded, what each has to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from api.client.errors import ApiError
from api.client.match_figures import MatchFigures
from api.client.terms import Terms, parse_terms

_Number = TypeVar("_Number", int, float)

Step = Literal["sign", "wait-key", "send", "sent", "fetch", "nothing"]
"""What an office has to do next; ``wait-key``: until the coordinating office has signed."""


@dataclass(frozen=True, slots=True)
class MemberState:
    """How far a member office is.

    Attributes:
        is_out: whether it left the round, or operators took it out.
    """

    office: str
    role: str
    signed: bool
    uploaded: bool
    n_records: int | None
    is_out: bool = False


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """What one operator has asked for, and another must ask for too.

    Attributes:
        office: which is to be taken out; ``None`` where the round is to end early.
    """

    office: str | None
    by: str

    def sentence(self) -> str:
        """What happens when a second operator joins in."""
        what = "end this round early" if self.office is None else f"take {self.office} out"
        return f"{self.by} asks to {what}; another operator must ask for the same"


def next_step(
    state: str, *, coordinates: bool, key_confirmed: bool, signed: bool | None, uploaded: bool
) -> Step:
    """What an office has to do next.

    Args:
        coordinates: whether it is the coordinating office.
        signed: whether it has signed; ``None`` for an office that brings no records.
    """
    if coordinates and not key_confirmed:
        return "sign" if state == "open" else "nothing"
    if signed is None:
        return "nothing"
    if state == "released":
        return "fetch"
    if state != "open":
        return "nothing"
    if not signed:
        return "sign"
    if not key_confirmed:
        return "wait-key"
    return "sent" if uploaded else "send"


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """A round in a list, and how far the asking office is in it.

    Attributes:
        created_at: RFC 3339.
        signed: ``None`` for who brings no records, or is out of the round.
    """

    id: str
    project: str
    state: str
    created_at: str
    coordinating_office: str
    key_confirmed: bool
    signed: bool | None
    uploaded: bool

    def next_step(self, office: str) -> Step:
        """What the asking office has to do next."""
        return next_step(
            self.state,
            coordinates=office == self.coordinating_office,
            key_confirmed=self.key_confirmed,
            signed=self.signed,
            uploaded=self.uploaded,
        )


@dataclass(frozen=True, slots=True)
class RoundView:
    """What ``GET /v1/rounds/{id}`` says, checked.

    Attributes:
        terms: parsed and hashed here, whatever hash the server says.
        matching: how far it is.
        requests: what waits for a second operator.
    """

    id: str
    state: str
    terms: Terms
    key_confirmed: bool
    members: tuple[MemberState, ...]
    matching: MatchFigures
    failure: str | None
    requests: tuple[PendingRequest, ...] = ()

    def member(self, office: str) -> MemberState | None:
        """State of one member office; ``None`` where it is none."""
        return next((member for member in self.members if member.office == office), None)

    def next_step(self, office: str) -> Step:
        """What an office has to do next."""
        member = self.member(office)
        return next_step(
            self.state,
            coordinates=office == self.terms.coordinating_office,
            key_confirmed=self.key_confirmed,
            signed=None if member is None or member.is_out else member.signed,
            uploaded=member is not None and member.uploaded,
        )

    def to_do(self, office: str) -> str:
        """What an office has to do next, in a few words."""
        coordinator = self.terms.coordinating_office
        step = self.next_step(office)
        member = self.member(office)
        if step == "nothing" and member is not None and member.is_out:
            return "nothing: it is out of the round"
        if step == "sign" and office == coordinator and not self.key_confirmed:
            return "sign the terms with --secret-file"
        return {
            "sign": "read and sign the terms",
            "wait-key": f"wait until {coordinator} has signed",
            "send": "encode and upload",
            "sent": "nothing",
            "fetch": "fetch the results",
            "nothing": "nothing",
        }[step]


def parse_rounds(answer: Mapping[str, Any]) -> tuple[RoundSummary, ...]:
    """Check the answer of ``GET /v1/rounds``; in the order of the server, newest first.

    Raises:
        ApiError: ``bad-answer``; it is not as ``docs/http-api.md`` says.
    """
    try:
        return tuple(_parse_summary(_mapping(entry)) for entry in answer["rounds"])
    except (KeyError, TypeError) as error:
        raise _unexpected() from error


def _parse_summary(entry: Mapping[str, Any]) -> RoundSummary:
    own = None if entry["own"] is None else _mapping(entry["own"])
    if own is not None and own.get("withdrawn") is True:
        own = None
    return RoundSummary(
        id=str(entry["id"]),
        project=str(entry["project"]),
        state=str(entry["state"]),
        created_at=str(entry["created_at"]),
        coordinating_office=str(entry["coordinating_office"]),
        key_confirmed=entry["key_confirmed"] is True,
        signed=None if own is None else own["signed"] is True,
        uploaded=own is not None and own["uploaded"] is True,
    )


def parse_round(answer: Mapping[str, Any], round_id: str) -> RoundView:
    """Check the server's answer about a round.

    Raises:
        ApiError: ``bad-answer``; it is about another round, or not as ``docs/http-api.md`` says.
        TermsError: the terms in it are not well formed.
    """
    try:
        terms = parse_terms(_mapping(answer["terms"]))
        view = RoundView(
            id=str(answer["id"]),
            state=str(answer["state"]),
            terms=terms,
            key_confirmed=answer["key_confirmed"] is True,
            members=tuple(_parse_member(entry) for entry in answer["members"]),
            matching=_parse_matching(_mapping(answer.get("progress") or {})),
            failure=None if answer.get("failure") is None else str(answer["failure"]),
            requests=tuple(_parse_request(entry) for entry in answer.get("requests") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unexpected() from error
    if view.id != round_id or terms.round != round_id or answer.get("terms_sha256") != terms.sha256:
        raise ApiError(
            "bad-answer",
            200,
            "The server's terms do not fit the round that was asked for, or their own hash. "
            "Sign and send nothing, and tell the operator and the auditor.",
        )
    return view


def _parse_matching(body: Mapping[str, Any]) -> MatchFigures:
    def known(name: str, kind: Callable[[Any], _Number]) -> _Number | None:
        value = body.get(name)
        return None if value is None else kind(value)

    return MatchFigures(
        stage=None if body.get("stage") is None else str(body["stage"]),
        done=int(body.get("done") or 0),
        total=int(body.get("total") or 0),
        n_pairs=known("n_pairs", int),
        n_candidates=known("n_candidates", int),
        pairs_per_s=known("pairs_per_s", float),
        seconds_left=known("seconds_left", float),
    )


def _parse_request(entry: Any) -> PendingRequest:
    body = _mapping(entry)
    office = body.get("office")
    return PendingRequest(None if office is None else str(office), str(body["by"]))


def _parse_member(entry: Any) -> MemberState:
    body = _mapping(entry)
    n_records = body.get("n_records")
    return MemberState(
        office=str(body["office"]),
        role=str(body["role"]),
        signed=body["signed"] is True,
        uploaded=body["uploaded"] is True,
        n_records=None if n_records is None else int(n_records),
        is_out=body.get("withdrawn") is True,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _unexpected() -> ApiError:
    return ApiError(
        "bad-answer",
        200,
        "The server's answer is not what this program expects. Update the program, or tell the "
        "operator.",
    )
