import copy
import os
import pickle
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import KeyFileError, SealingError, SecretError
from keys.identity import PrivateIdentity, new_identity
from keys.linkage_secret import (
    LinkageSecret,
    load_linkage_secret,
    new_linkage_secret,
    open_linkage_secret,
    parse_linkage_secret,
    save_linkage_secret,
    seal_linkage_secret,
    serialise_linkage_secret,
)
from keys.sealing import linkage_secret_context, seal, verify_sealed
from keys.suites import CLASSICAL

_VALUE = bytes(range(32))
_SECRET = LinkageSecret(_VALUE)
_CONTEXTS = ("sichuan-children/2026-h2", "sichuan-children/2027-h1", "other/2026-h2", "offline")


def _office(holder: str) -> PrivateIdentity:
    return new_identity(holder, "office", suite=CLASSICAL)


@pytest.fixture(scope="module")
def coordinator() -> PrivateIdentity:
    return _office("province")


@pytest.fixture(scope="module")
def member() -> PrivateIdentity:
    return _office("jinjiang-civil")


def test_the_secret_is_never_shown() -> None:
    for shown in (
        repr(_SECRET),
        str(_SECRET),
        f"{_SECRET}",
        f"{_SECRET!r:>40}",
        repr({"secret": _SECRET}),
    ):
        assert "hidden" in shown
        assert _VALUE.hex() not in shown
        assert repr(_VALUE) not in shown
    with pytest.raises(TypeError):
        vars(_SECRET)


@pytest.mark.parametrize("attempt", [pickle.dumps, copy.copy, copy.deepcopy])
def test_the_secret_is_not_pickled_or_copied(attempt: object) -> None:
    assert callable(attempt)
    with pytest.raises(TypeError, match="not copied or pickled"):
        attempt(_SECRET)


def test_equal_secrets_are_equal_and_none_is_a_key_of_a_dictionary() -> None:
    assert LinkageSecret(_VALUE) == _SECRET
    assert new_linkage_secret() != new_linkage_secret()
    assert _SECRET != _VALUE
    with pytest.raises(TypeError, match="unhashable"):
        hash(_SECRET)


@pytest.mark.parametrize("n_bytes", [0, 16, 31, 33, 64])
def test_a_secret_has_32_bytes(n_bytes: int) -> None:
    with pytest.raises(SecretError, match="32 bytes"):
        LinkageSecret(bytes(n_bytes))


def test_each_context_and_purpose_has_its_own_bytes() -> None:
    outputs = [_SECRET.round_key(context) for context in _CONTEXTS]
    outputs += [bytes.fromhex(_SECRET.key_confirmation(context)) for context in _CONTEXTS]
    starts = {output[:16] for output in outputs}
    assert len(starts) == 2 * len(_CONTEXTS)
    assert all(len(_SECRET.round_key(context)) == 32 for context in _CONTEXTS)
    assert all(len(_SECRET.key_confirmation(context)) == 32 for context in _CONTEXTS)
    assert not any(_VALUE[at : at + 4] in b"".join(outputs) for at in range(29))


def test_equal_secrets_confirm_equal_and_others_do_not() -> None:
    same, other = LinkageSecret(_VALUE), new_linkage_secret()
    for context in _CONTEXTS:
        assert same.key_confirmation(context) == _SECRET.key_confirmation(context)
        assert other.key_confirmation(context) != _SECRET.key_confirmation(context)
    assert same.fingerprint == _SECRET.fingerprint != other.fingerprint


_WRONG_CONTEXTS = (
    *("", "offline ", "project", "/", "a/", "/b", "a/b/c", "A/b"),
    *("a/b\n", "a\x00/b", "项目/一", "a" * 64 + "/b"),
)


@pytest.mark.parametrize("context", _WRONG_CONTEXTS, ids=ascii)
def test_other_contexts_are_refused(context: str) -> None:
    with pytest.raises(SecretError, match="PROJECT/ROUND"):
        _SECRET.round_key(context)
    with pytest.raises(SecretError, match="PROJECT/ROUND"):
        _SECRET.key_confirmation(context)


def test_the_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    save_linkage_secret(_SECRET, path)
    assert load_linkage_secret(path) == _SECRET
    with pytest.raises(KeyFileError, match="exists already"):
        save_linkage_secret(new_linkage_secret(), path)
    assert load_linkage_secret(path) == _SECRET
    if os.name == "posix":
        path.chmod(0o640)
        with pytest.raises(KeyFileError, match="Others on this machine"):
            load_linkage_secret(path)


def test_an_editor_may_take_the_newline_away() -> None:
    assert parse_linkage_secret(serialise_linkage_secret(_SECRET).rstrip(b"\n")) == _SECRET


def test_every_single_wrong_character_is_found() -> None:
    data = serialise_linkage_secret(_SECRET)
    for at in range(len(data) - 1):
        for wrong in (b"0", b"f", b"F", b" ", b"\xff"):
            if data[at : at + 1] != wrong:
                with pytest.raises(SecretError):
                    parse_linkage_secret(data[:at] + wrong + data[at + 1 :])


@settings(max_examples=60)
@given(st.binary(max_size=120))
def test_any_bytes_give_the_one_error(data: bytes) -> None:
    with pytest.raises(SecretError):
        parse_linkage_secret(data)


def test_an_error_holds_nothing_of_the_secret() -> None:
    data = serialise_linkage_secret(_SECRET)
    for broken in (data[:-3], data[:-2] + b"x\n", data.replace(b"v1", b"v2")):
        with pytest.raises(SecretError) as caught:
            parse_linkage_secret(broken)
        text = "".join(traceback.format_exception(caught.value))
        assert _VALUE.hex()[:16] not in text
        assert caught.value.__context__ is None


def test_it_travels_sealed(coordinator: PrivateIdentity, member: PrivateIdentity) -> None:
    blob = seal_linkage_secret(
        _SECRET, recipient=member.public, sender=coordinator, project="children", epoch=3
    )
    opened = open_linkage_secret(
        blob, recipient=member, sender=coordinator.public, project="children", epoch=3
    )
    assert opened == _SECRET
    assert _VALUE not in blob
    assert _VALUE.hex().encode() not in blob
    # The server, which cannot open it, can check that it is addressed rightly.
    verify_sealed(
        blob,
        recipient=member.public,
        sender=coordinator.public,
        purpose="linkage-secret",
        context=linkage_secret_context("children", 3, "jinjiang-civil"),
    )


def test_a_secret_of_another_project_or_epoch_is_refused(
    coordinator: PrivateIdentity, member: PrivateIdentity
) -> None:
    """The attack: the server hands out the secret of a former epoch again."""
    blob = seal_linkage_secret(
        _SECRET, recipient=member.public, sender=coordinator, project="children", epoch=1
    )
    for project, epoch in (("children", 2), ("others", 1)):
        with pytest.raises(SealingError, match="does not fit"):
            open_linkage_secret(
                blob, recipient=member, sender=coordinator.public, project=project, epoch=epoch
            )


def test_no_operator_gets_the_secret(coordinator: PrivateIdentity) -> None:
    """The attack: an operator asks for it, or plants one of which he knows the value."""
    operator = new_identity("wang-li", "operator", suite=CLASSICAL)
    with pytest.raises(SecretError, match="Only offices"):
        seal_linkage_secret(
            _SECRET, recipient=operator.public, sender=coordinator, project="children"
        )
    with pytest.raises(SecretError, match="Only offices"):
        seal_linkage_secret(
            _SECRET, recipient=coordinator.public, sender=operator, project="children"
        )
    planted = seal(
        serialise_linkage_secret(new_linkage_secret()),
        recipient=coordinator.public,
        sender=operator,
        purpose="linkage-secret",
        context=linkage_secret_context("children", 1, "province"),
    )
    with pytest.raises(SecretError, match="Only an office"):
        open_linkage_secret(
            planted, recipient=coordinator, sender=operator.public, project="children"
        )


def test_a_sealed_something_else_is_no_secret(
    coordinator: PrivateIdentity, member: PrivateIdentity
) -> None:
    blob = seal(
        b"not a secret",
        recipient=member.public,
        sender=coordinator,
        purpose="linkage-secret",
        context=linkage_secret_context("children", 1, "jinjiang-civil"),
    )
    with pytest.raises(SecretError, match="no linkage secret"):
        open_linkage_secret(blob, recipient=member, sender=coordinator.public, project="children")


@pytest.mark.parametrize(
    ("project", "epoch"), [("", 1), ("A", 1), ("a/b", 1), ("a", 0), ("a", -1), ("a", 10**6 + 1)]
)
def test_project_and_epoch_are_checked(
    coordinator: PrivateIdentity, member: PrivateIdentity, project: str, epoch: int
) -> None:
    with pytest.raises(SecretError):
        seal_linkage_secret(
            _SECRET, recipient=member.public, sender=coordinator, project=project, epoch=epoch
        )
