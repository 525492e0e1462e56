"""The tree against the published vectors and against the RFC's recursive definition."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.audit.errors import ProofError
from api.audit.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors/audit/rfc6962.json").read_text()
)
LEAVES = [leaf_hash(bytes.fromhex(data)) for data in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """``MTH`` exactly as RFC 6962, section 2.1 defines it, over leaf hashes."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def numbered_leaves(n: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(n)]


def test_the_published_roots() -> None:
    assert bytes.fromhex(VECTORS["empty_root"]) == EMPTY_ROOT == tree_root([])
    for size, root in enumerate(ROOTS, start=1):
        assert tree_root(LEAVES[:size]) == root


@pytest.mark.parametrize("case", VECTORS["inclusion"])
def test_the_published_inclusion_proofs(case: dict[str, Any]) -> None:
    index, size = case["index"], case["size"]
    proof = [bytes.fromhex(value) for value in case["proof"]]
    assert inclusion_proof(LEAVES[:size], index) == proof
    verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size - 1])


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_the_published_consistency_proofs(case: dict[str, Any]) -> None:
    old, new = case["old_size"], case["new_size"]
    proof = [bytes.fromhex(value) for value in case["proof"]]
    assert consistency_proof(LEAVES[:new], old) == proof
    verify_consistency(old, new, proof, ROOTS[old - 1], ROOTS[new - 1])


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_appending_gives_the_root_of_the_definition(data: list[bytes]) -> None:
    leaves = [leaf_hash(value) for value in data]
    assert tree_root(leaves) == naive_root(leaves)


@given(st.integers(0, 300), st.integers(0, 40))
def test_a_stored_range_goes_on_as_if_it_had_never_been_stored(size: int, more: int) -> None:
    leaves = numbered_leaves(size + more)
    tree = CompactRange()
    for leaf in leaves[:size]:
        tree.append(leaf)
    again = CompactRange.from_bytes(size, tree.to_bytes())
    for leaf in leaves[size:]:
        again.append(leaf)
    assert again.root() == naive_root(leaves)


@given(st.integers(1, 70), st.data())
def test_every_inclusion_proof_holds_for_its_entry_and_no_other(size: int, data: Any) -> None:
    leaves = numbered_leaves(size)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(leaves, index)
    root = naive_root(leaves)
    verify_inclusion(leaves[index], index, size, proof, root)
    if other != index:
        with pytest.raises(ProofError):
            verify_inclusion(leaves[other], index, size, proof, root)
        with pytest.raises(ProofError):
            verify_inclusion(leaves[index], other, size, proof, root)


@given(st.integers(0, 70), st.data())
def test_every_consistency_proof_holds_for_its_two_trees(new: int, data: Any) -> None:
    old = data.draw(st.integers(0, new))
    leaves = numbered_leaves(new)
    proof = consistency_proof(leaves, old)
    verify_consistency(old, new, proof, naive_root(leaves[:old]), naive_root(leaves))


@given(st.integers(2, 70), st.data())
def test_no_proof_of_consistency_over_a_changed_entry(new: int, data: Any) -> None:
    old = data.draw(st.integers(1, new - 1))
    leaves = numbered_leaves(new)
    at = data.draw(st.integers(0, old - 1))
    forged = [*leaves[:at], leaf_hash(b"other"), *leaves[at + 1 :]]
    for whole in (leaves, forged):
        with pytest.raises(ProofError):
            verify_consistency(
                old,
                new,
                consistency_proof(whole, old),
                naive_root(leaves[:old]),
                naive_root(forged),
            )


@given(st.integers(2, 40), st.data())
def test_a_proof_with_any_bit_changed_is_refused(size: int, data: Any) -> None:
    leaves = numbered_leaves(size)
    root = naive_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size - 1))
    inclusion: Callable[..., None] = partial(
        verify_inclusion, leaves[index], index, size, root=root
    )
    consistency: Callable[..., None] = partial(
        verify_consistency, old, size, old_root=naive_root(leaves[:old]), new_root=root
    )
    for proof, verify in (
        (inclusion_proof(leaves, index), inclusion),
        (consistency_proof(leaves, old), consistency),
    ):
        at = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        value = bytearray(proof[at])
        value[bit // 8] ^= 1 << bit % 8
        for bad in (
            [*proof[:at], bytes(value), *proof[at + 1 :]],
            proof[:-1],
            [*proof, proof[-1]],
            [*proof[:at], proof[at][:-1], *proof[at + 1 :]],
        ):
            with pytest.raises(ProofError):
                verify(proof=bad)


def test_impossible_places_and_sizes_are_refused() -> None:
    leaves = numbered_leaves(4)
    for index in (-1, 4):
        with pytest.raises(ProofError):
            inclusion_proof(leaves, index)
        with pytest.raises(ProofError):
            verify_inclusion(leaves[0], index, 4, [], tree_root(leaves))
    with pytest.raises(ProofError):
        consistency_proof(leaves, 5)
    with pytest.raises(ProofError):
        verify_consistency(5, 4, [], tree_root(leaves), tree_root(leaves))
    with pytest.raises(ProofError):
        verify_consistency(4, 4, [], tree_root(leaves), tree_root(leaves[:3]))
    with pytest.raises(ProofError):
        verify_consistency(0, 4, [], tree_root(leaves), tree_root(leaves))
    with pytest.raises(ProofError):
        verify_consistency(1, 4, [], leaves[0], tree_root(leaves))


def test_a_range_that_does_not_fit_its_size_is_refused() -> None:
    for size, hashes in ((1, []), (3, [bytes(32)]), (1, [bytes(31)]), (-1, [])):
        with pytest.raises(ProofError):
            CompactRange(size, hashes)
    with pytest.raises(ProofError):
        CompactRange.from_bytes(1, bytes(33))
