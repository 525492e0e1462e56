"""The life of a round as a table: who may do what, from which state to which.

Pure: no database, no clock, no HTTP.  Every change of a round's state and everything that an
office may do in a round is asked here first; ``tests/api/server/test_round_states.py`` reads as
the policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from api.server.refusals import RefusalError

MIN_UPLOADS = 2
"""Fewer encoded files cannot be matched with each other."""


class State(StrEnum):
    """Where a round stands."""

    DRAFT = "draft"
    OPEN = "open"
    FROZEN = "frozen"
    MATCHING = "matching"
    REVIEW = "review"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Actor(StrEnum):
    """Who acts: a role of members and people, or the worker process."""

    OFFICE = "office"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    WORKER = "worker"


class Step(StrEnum):
    """What changes a round's state."""

    OPEN = "open"
    FREEZE = "freeze"
    RUN = "run"
    FINISH = "finish"
    FAIL = "fail"
    RELEASE = "release"
    CANCEL = "cancel"
    LAPSE = "lapse"
    EXPIRE = "expire"
    EXPIRE_EARLY = "expire early"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Rule:
    """One step: from which states, to which state, by whom.

    Attributes:
        second_person: whether who ran the round may not take this step.
        two_people: whether two of them must ask for it, since it destroys what others have.
        uploads: how many encoded files the round must hold.
        named: whether who may take it asks for it by its name; else it is part of something else.
    """

    sources: frozenset[State]
    target: State
    by: Actor
    second_person: bool = False
    two_people: bool = False
    uploads: int = 0
    named: bool = True


def _rule(sources: str, target: State, by: Actor, **conditions: Any) -> Rule:
    states = frozenset(State(word) for word in sources.split())
    return Rule(states, target, by, **conditions)


STEPS: Mapping[Step, Rule] = {
    Step.OPEN: _rule("draft", State.OPEN, Actor.OPERATOR),
    Step.FREEZE: _rule("open", State.FROZEN, Actor.OPERATOR, uploads=MIN_UPLOADS),
    Step.RUN: _rule("frozen", State.MATCHING, Actor.OPERATOR),
    Step.FINISH: _rule("matching", State.REVIEW, Actor.WORKER),
    Step.FAIL: _rule("matching", State.FROZEN, Actor.WORKER),
    Step.RELEASE: _rule("review", State.RELEASED, Actor.OPERATOR, second_person=True),
    Step.CANCEL: _rule("draft open frozen matching review", State.CANCELLED, Actor.OPERATOR),
    # A round that nobody brings to its end may not keep encodings longer than its terms say.
    Step.LAPSE: _rule("open frozen review", State.CANCELLED, Actor.WORKER),
    Step.EXPIRE: _rule("released", State.EXPIRED, Actor.WORKER),
    Step.EXPIRE_EARLY: _rule(
        "released", State.EXPIRED, Actor.OPERATOR, two_people=True, named=False
    ),
    # An office was taken out: what its records took part in is nobody's result any more.
    Step.RETURN: _rule("review", State.FROZEN, Actor.OPERATOR, uploads=MIN_UPLOADS, named=False),
}


GOING_ON = frozenset({Step.FREEZE, Step.RUN, Step.RELEASE})
"""Steps that need the round's data for what comes next: not once its time is over."""


OPERATOR_STEPS: Mapping[str, Step] = {
    str(step): step for step, rule in STEPS.items() if rule.by is Actor.OPERATOR and rule.named
}
"""What an operator may ask for, by name."""


class Deed(StrEnum):
    """What is done in a round without changing its state."""

    SIGN = "sign the terms"
    UPLOAD = "upload"
    WITHDRAW = "withdraw an upload"
    READ_REVIEW = "read the review"
    READ_RESULTS = "read results"
    LEAVE = "withdraw from a released round"
    AMEND = "change the terms"
    EXCLUDE = "take an office out"


DEEDS: Mapping[Deed, tuple[Actor, frozenset[State]]] = {
    Deed.SIGN: (Actor.OFFICE, frozenset({State.OPEN})),
    Deed.UPLOAD: (Actor.OFFICE, frozenset({State.OPEN})),
    Deed.WITHDRAW: (Actor.OFFICE, frozenset({State.OPEN})),
    Deed.READ_REVIEW: (Actor.OPERATOR, frozenset({State.REVIEW, State.RELEASED})),
    Deed.READ_RESULTS: (Actor.OFFICE, frozenset({State.RELEASED})),
    Deed.LEAVE: (Actor.OFFICE, frozenset({State.RELEASED})),
    Deed.AMEND: (Actor.OPERATOR, frozenset({State.DRAFT, State.OPEN})),
    Deed.EXCLUDE: (
        Actor.OPERATOR,
        frozenset({State.OPEN, State.FROZEN, State.REVIEW, State.RELEASED}),
    ),
}

TWO_PEOPLE: Mapping[Deed, frozenset[State]] = {Deed.EXCLUDE: frozenset({State.RELEASED})}
"""When two must ask for a deed: what two people gave to the offices, one does not take away."""


def next_state(
    step: Step,
    state: State,
    actor: Actor,
    *,
    person: str | None = None,
    ran_by: str | None = None,
    asked_by: str | None = None,
    n_uploads: int = 0,
) -> State:
    """The state that follows, if this actor may take this step now.

    Args:
        step: what is to be done.
        state: where the round stands.
        actor: role of who asks.
        person: id of who asks.
        ran_by: id of the operator who ran the round last.
        asked_by: id of the operator who asked for the same step before.
        n_uploads: encoded files that the round holds.

    Raises:
        RefusalError: ``forbidden``, ``wrong-state`` or ``second-person``.
    """
    rule = STEPS[step]
    if actor is not rule.by:
        raise RefusalError("forbidden", f"Only the {rule.by} may {step} a round.")
    if state not in rule.sources:
        raise RefusalError(
            "wrong-state",
            f"The round is {state}; to {step} it, it must be {_one_of(rule.sources)}."
            + _advice(state),
        )
    if n_uploads < rule.uploads:
        raise RefusalError(
            "wrong-state",
            f"To {step} the round, at least {rule.uploads} offices must have uploaded; "
            f"{n_uploads} have. Ask the others to upload first.",
        )
    if rule.second_person and (person is None or person == ran_by):
        raise RefusalError(
            "second-person",
            f"Who ran the round may not {step} it. Ask another operator to read the review "
            f"and to {step} it.",
        )
    if rule.two_people:
        _check_two(person, asked_by)
    return rule.target


def check_deed(
    deed: Deed,
    state: State,
    actor: Actor,
    *,
    person: str | None = None,
    asked_by: str | None = None,
) -> None:
    """Whether this actor may do this while the round is in this state.

    Args:
        deed, state, actor: what is to be done, where the round stands, and the role of who asks.
        person: id of who asks.
        asked_by: id of who asked for the same before.

    Raises:
        RefusalError: ``forbidden``, ``wrong-state`` or ``second-person``.
    """
    by, states = DEEDS[deed]
    if actor is not by:
        raise RefusalError("forbidden", f"Only the {by} may {deed}.")
    if state not in states:
        raise RefusalError(
            "wrong-state",
            f"The round is {state}; to {deed}, it must be {_one_of(states)}." + _advice(state),
        )
    if needs_two(deed, state):
        _check_two(person, asked_by)


def needs_two(what: Step | Deed, state: State) -> bool:
    """Whether two people must ask for this while the round is in this state."""
    if isinstance(what, Deed):
        return state in TWO_PEOPLE.get(what, ())
    return STEPS[what].two_people and state in STEPS[what].sources


def _check_two(person: str | None, asked_by: str | None) -> None:
    if person is None or asked_by is None or person == asked_by:
        raise RefusalError(
            "second-person",
            "Two operators must ask for this: it takes away what the offices were given. Ask "
            "another operator to ask for the same.",
        )


def _one_of(states: frozenset[State]) -> str:
    return " or ".join(state for state in State if state in states)


def _advice(state: State) -> str:
    match state:
        case State.CANCELLED | State.EXPIRED:
            return " A new round is needed."
        case State.MATCHING:
            return " Wait until the matching is over."
        case State.DRAFT | State.OPEN | State.FROZEN | State.REVIEW:
            return " Ask the linkage operator when that will be."
        case State.RELEASED:
            return ""
