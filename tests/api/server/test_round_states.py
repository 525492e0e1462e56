"""The policy of rounds: who may do what, from where to where.  Anything not listed is refused."""

from collections.abc import Callable
from functools import partial
from itertools import product

import pytest

from api.server.refusals import RefusalError
from api.server.round_states import (
    DEEDS,
    MIN_UPLOADS,
    OPERATOR_STEPS,
    STEPS,
    Actor,
    Deed,
    State,
    Step,
    check_deed,
    next_state,
)

# who       may        a round that is                      which then is
POLICY = """
operator    open       draft                                open
operator    freeze     open                                 frozen
operator    run        frozen                               matching
worker      finish     matching                             review
worker      fail       matching                             frozen
operator    release    review                               released
operator    cancel     draft,open,frozen,matching,review    cancelled
worker      lapse      open,frozen,review                   cancelled
worker      expire     released                             expired
operator    expire-early released                           expired
operator    return     review                               frozen
"""

# who       may                     while the round is
DEED_POLICY = """
office      sign the terms          open
office      upload                  open
office      withdraw an upload      open
operator    read the review         review,released
office      read results            released
office      withdraw from a released round released
operator    change the terms        draft,open
operator    take an office out      open,frozen,review,released
"""

# What takes away from the offices what two people gave them, two people ask for.
TWO_PEOPLE = """
expire-early        released
take an office out  released
"""


def _policy() -> dict[tuple[Step, State, Actor], State]:
    allowed = {}
    for line in POLICY.strip().splitlines():
        who, step, sources, target = line.split()
        for source in sources.split(","):
            named = Step(step.replace("-", " "))
            allowed[named, State(source), Actor(who)] = State(target)
    return allowed


def _deed_policy() -> set[tuple[Deed, State, Actor]]:
    allowed = set()
    for line in DEED_POLICY.strip().splitlines():
        who, _, rest = line.partition(" ")
        deed, states = rest.strip().rsplit(maxsplit=1)
        allowed |= {(Deed(deed.strip()), State(s), Actor(who)) for s in states.split(",")}
    return allowed


@pytest.mark.parametrize(("step", "state", "actor"), list(product(Step, State, Actor)))
def test_every_step_by_everyone_from_every_state(step: Step, state: State, actor: Actor) -> None:
    def take() -> State:
        people = {"person": "luo", "ran_by": "chen", "asked_by": "chen"}
        return next_state(step, state, actor, **people, n_uploads=9)

    expected = _policy().get((step, state, actor))
    if expected is None:
        with pytest.raises(RefusalError) as refusal:
            take()
        may_ever = STEPS[step].by is actor
        assert refusal.value.slug == ("wrong-state" if may_ever else "forbidden")
    else:
        assert take() is expected


@pytest.mark.parametrize(("deed", "state", "actor"), list(product(Deed, State, Actor)))
def test_every_deed_by_everyone_in_every_state(deed: Deed, state: State, actor: Actor) -> None:
    if (deed, state, actor) in _deed_policy():
        check_deed(deed, state, actor, person="luo", asked_by="chen")
        return
    with pytest.raises(RefusalError) as refusal:
        check_deed(deed, state, actor, person="luo", asked_by="chen")
    assert refusal.value.slug == ("wrong-state" if DEEDS[deed][0] is actor else "forbidden")


@pytest.mark.parametrize("person", ["chen", None])
def test_release_needs_a_second_person(person: str | None) -> None:
    with pytest.raises(RefusalError) as refusal:
        next_state(Step.RELEASE, State.REVIEW, Actor.OPERATOR, person=person, ran_by="chen")
    assert refusal.value.slug == "second-person"


def _two_people() -> set[tuple[str, State]]:
    lines = (line.rsplit(maxsplit=1) for line in TWO_PEOPLE.strip().splitlines())
    return {(what.strip().replace("expire-early", "expire early"), State(s)) for what, s in lines}


def _needs_another(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except RefusalError as refusal:
        return refusal.slug == "second-person"
    return False


@pytest.mark.parametrize("asked_by", [None, "chen"])
def test_what_needs_two_people_and_nothing_else(asked_by: str | None) -> None:
    people = {"person": "chen", "asked_by": asked_by}
    refused = {
        (str(step), state)
        for step, rule in STEPS.items()
        for state in rule.sources
        if _needs_another(
            partial(next_state, step, state, rule.by, **people, ran_by="zhao", n_uploads=9)
        )
    } | {
        (str(deed), state)
        for deed, (by, states) in DEEDS.items()
        for state in states
        if _needs_another(partial(check_deed, deed, state, by, **people))
    }
    assert refused == _two_people()


@pytest.mark.parametrize("n_uploads", range(MIN_UPLOADS))
def test_a_round_goes_back_only_where_two_files_are_left(n_uploads: int) -> None:
    with pytest.raises(RefusalError) as refusal:
        next_state(Step.RETURN, State.REVIEW, Actor.OPERATOR, n_uploads=n_uploads)
    assert refusal.value.slug == "wrong-state"


@pytest.mark.parametrize("n_uploads", range(MIN_UPLOADS))
def test_a_round_with_less_than_two_files_is_not_frozen(n_uploads: int) -> None:
    with pytest.raises(RefusalError) as refusal:
        next_state(Step.FREEZE, State.OPEN, Actor.OPERATOR, n_uploads=n_uploads)
    assert refusal.value.slug == "wrong-state"


def test_no_state_leads_out_of_the_last_ones() -> None:
    for last in (State.EXPIRED, State.CANCELLED):
        assert not [step for step, rule in STEPS.items() if last in rule.sources]


def test_what_operators_may_ask_for_is_what_the_contract_says() -> None:
    assert list(OPERATOR_STEPS) == ["open", "freeze", "run", "release", "cancel"]
