"""Passwords: which are refused, and what is kept of those that are taken."""

import pytest

from api.server.refusals import RefusalError
from api.server.services import passwords
from api.server.services.passwords import check_password, hash_password, is_password


@pytest.mark.parametrize(
    "password",
    ["", "short", "x" * 12, "abcabcabcabc", "x y z w" * 60, "123456789012345", "i am Wu-Yun, hi"],
)
def test_what_can_be_guessed_is_refused(password: str) -> None:
    with pytest.raises(RefusalError) as refusal:
        check_password(password, "wu-yun")
    assert refusal.value.slug == "invalid"
    if password:
        assert password not in refusal.value.detail


@pytest.mark.parametrize(
    "password", ["correct horse battery", "成都的火锅很辣，我每天都想吃", "a" * 4 + "bcdefghij"]
)
def test_what_is_long_is_taken(password: str) -> None:
    check_password(password, "wu-yun")


def test_only_the_right_one_fits() -> None:
    stored = hash_password("correct horse battery")
    assert "correct" not in stored
    assert is_password("correct horse battery", stored)
    for other in ("correct horse batterY", "", "correct horse battery ", "x" * 10_000_000):
        assert not is_password(other, stored)
    assert not is_password("correct horse battery", None)
    assert hash_password("correct horse battery") != stored


def test_a_character_typed_in_two_ways_is_one() -> None:
    assert is_password("café au lait bien chaud", hash_password("cafe\u0301 au lait bien chaud"))
    assert is_password("ＡＢＣ and other words", hash_password("ABC and other words"))


def test_many_at_the_same_time() -> None:
    from concurrent.futures import ThreadPoolExecutor

    stored = hash_password("correct horse battery")
    with ThreadPoolExecutor(16) as pool:
        guesses = ["correct horse battery", "another guess"] * 16
        found = list(pool.map(lambda guess: is_password(guess, stored), guesses))
    assert found == [True, False] * 16


def test_the_cost_is_that_of_rfc_9106(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert passwords._MEMORY_KIB == 64 * 1024
    assert hash_password("correct horse battery").startswith("$argon2id$v=19$m=65536,t=3,p=1$")
