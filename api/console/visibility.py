"""Who sees links with whom, as a form asks it in plain words: of each role, which roles it sees."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from api.pages.role_names import role_name
from api.server.schemas.terms import visibility_matrix

FIELD: Final = "visibility"
ALL: Final = "all"
BY_ROLE: Final = "roles"
_ROW: Final = "sees-"


@dataclass(frozen=True, slots=True)
class SeenRole:
    """A box to tick: a role whose links can be shown.

    Attributes:
        n_offices: of the role; without the one that looks, where it is the same role.
        is_same: whether it is the role of who looks.
    """

    role: str
    n_offices: int
    is_same: bool
    ticked: bool


@dataclass(frozen=True, slots=True)
class RoleRow:
    """What offices of one role see.

    Attributes:
        field: name of the row's boxes in the form.
    """

    role: str
    n_offices: int
    field: str
    seen: tuple[SeenRole, ...]


@dataclass(frozen=True, slots=True)
class VisibilityForm:
    """The form, as it was filled in or as the terms say.

    Attributes:
        by_role: whether the rows count; else everybody sees all of their links.
    """

    by_role: bool
    rows: tuple[RoleRow, ...]

    def value(self) -> Any:
        """What terms say: ``"all"``, or a matrix: role -> roles whose links it sees.

        Raises:
            ValueError: nobody would see anything.
        """
        boxes = [box for row in self.rows for box in row.seen]
        if not self.by_role or all(box.ticked for box in boxes):
            return ALL
        if not any(box.ticked for box in boxes):
            raise ValueError(gettext("Tick at least one role: else nobody sees any link."))
        return {row.role: [box.role for box in row.seen if box.ticked] for row in self.rows}

    def hidden(self) -> list[tuple[str, str]]:
        """Names and values that bring the same form again."""
        boxes = [(row.field, box.role) for row in self.rows for box in row.seen if box.ticked]
        return [(FIELD, BY_ROLE if self.by_role else ALL), *boxes]


def form_of_terms(members: Sequence[Mapping[str, Any]], visibility: Any) -> VisibilityForm:
    """The form for what terms say."""
    matrix = visibility_matrix({"members": members, "visibility": visibility})
    return _form(members, visibility != ALL, lambda role, other: other in matrix[role])


def form_as_sent(
    members: Sequence[Mapping[str, Any]], sent: "MultiDict[str, str]"
) -> VisibilityForm:
    """The form as somebody sent it; whatever is not a role of these members is left out."""
    by_role = sent.get(FIELD, ALL) == BY_ROLE
    return _form(members, by_role, lambda role, other: other in sent.getlist(_ROW + role))


def same_links(members: Sequence[Mapping[str, Any]], one: Any, other: Any) -> bool:
    """Whether two ways to say it show the same links to the same offices."""
    matrices = []
    for visibility in (one, other):
        form = form_of_terms(members, visibility)
        matrices.append([[box.ticked for box in row.seen] for row in form.rows])
    return matrices[0] == matrices[1]


def visibility_in_words(members: Sequence[Mapping[str, Any]], visibility: Any) -> str:
    """What terms say, in one line."""
    form = form_of_terms(members, visibility)
    if all(box.ticked for row in form.rows for box in row.seen):
        return str(gettext("every office with every other office"))
    between, end = gettext(", "), gettext("; ")
    return str(end).join(
        f"{role_name(row.role)} → {_seen_in_words(row, str(between))}" for row in form.rows
    )


def _seen_in_words(row: RoleRow, between: str) -> str:
    return between.join(role_name(box.role) for box in row.seen if box.ticked) or "–"


def _form(members: Sequence[Mapping[str, Any]], by_role: bool, ticked: Any) -> VisibilityForm:
    counts = Counter(str(member["role"]) for member in members)
    rows = []
    for role in sorted(counts):
        seen = tuple(
            SeenRole(other, counts[other] - (other == role), other == role, ticked(role, other))
            for other in sorted(counts)
            # An office has no links with itself.
            if other != role or counts[role] > 1
        )
        rows.append(RoleRow(role, counts[role], _ROW + role, seen))
    return VisibilityForm(by_role, tuple(rows))
