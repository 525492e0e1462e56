"""The compiled encoder: a block of cleaned records in, packed rows out.

It gives the same bits as ``views.ViewEncoder``, which does the same in NumPy and is read first.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from linkage.encoded_rows import RowLayout
from linkage.encoding import blake2b_kernels, filter_kernels
from linkage.encoding.diffusion import diffusion_positions
from linkage.encoding.field_block import FieldBlock, FieldMemory, Strings, TokenStream
from linkage.encoding.filters import bits_set, lanes
from linkage.encoding.subkeys import KeySchedule, frame
from linkage.encoding.token_numbers import (
    DIGEST_BYTES,
    Hasher,
    MessageHasher,
    TokenDigests,
    new_hasher,
)
from linkage.encoding.tokens import framed_token, salt_text, token_parts, verify_salt_kind
from linkage.profile import GroupSpec, Profile, TokenSpec, ViewSpec
from linkage.types import I64, U8, U64, Bools

_SALT_KEY_BYTES = 16


class RowEncoder:
    """Encodes blocks of records; one to a thread.

    Raises:
        EncodingError: a view's salt cannot be made.
    """

    def __init__(self, profile: Profile, keys: KeySchedule) -> None:
        self._layout = RowLayout(profile.layout())
        self._memories = {spec.name: FieldMemory(spec) for spec in profile.fields}
        self._views = [_View(profile, view, keys, self._layout) for view in profile.views]

    def encode(self, columns: Mapping[str, Sequence[str | None]], n_records: int) -> U64:
        """Rows of a block, without pseudonyms, ``(n_records, n_words) uint64``.

        Raises:
            EncodingError: a value is not in the form that its field's kind has.
        """
        rows = self._layout.empty_rows(n_records)
        blocks = {
            name: FieldBlock(memory, columns[name]) for name, memory in self._memories.items()
        }
        for view in self._views:
            view.encode(blocks, self._memories, rows)
        return rows

    def fill_counts(self) -> dict[str, tuple[int, int]]:
        """For each ``view/group``: bits set before diffusion, and filters that are present."""
        return {
            f"{view.name}/{group.spec.name}": (group.n_bits, group.n_filters)
            for view in self._views
            for group in view.groups
        }


class _Group:
    """Filters of one group in one view."""

    def __init__(
        self, spec: GroupSpec, view: str, diffusion: int, keys: KeySchedule, layout: RowLayout
    ) -> None:
        group_keys = keys.of_group(view, spec.name)
        self.spec = spec
        self.n_bits = 0
        self.n_filters = 0
        self._column = layout.group(view, spec.name)
        self._layout = layout
        hasher = new_hasher(keys.hash, group_keys.token, DIGEST_BYTES)
        self._digests = [TokenDigests(hasher, token.hashed_as) for token in spec.tokens]
        self._positions = diffusion_positions(
            group_keys.diffusion, spec.filter_bits, diffusion, keys.hash
        )

    def encode(
        self,
        blocks: Mapping[str, FieldBlock],
        memories: Mapping[str, FieldMemory],
        salt_keys: U64,
        present: U8,
        rows: U64,
    ) -> None:
        n = len(rows)
        n_tiles = -(-n // filter_kernels.TILE_RECORDS)
        planes = np.zeros(
            (n_tiles, self.spec.filter_bits, filter_kernels.TILE_WORDS), dtype=np.uint64
        )
        has = np.zeros(n, dtype=np.uint8)
        lane_bits, _ = lanes(self.spec.filter_bits)
        target = (salt_keys, present, self.spec.filter_bits, lane_bits, planes, has)
        for token, digests in zip(self.spec.tokens, self._digests, strict=True):
            block = blocks[token.field]
            if block.is_one_string(token.kind):
                there, of_records = _string_digests(block, token, digests.hasher)
                filter_kernels.set_token_bits(there, there, of_records, token.hashes, *target)
                continue
            for stream, hashes in _weighed_streams(block, token):
                numbers, _ = memories[token.field].of_kind(token.kind)
                filter_kernels.set_token_bits(
                    stream.records, stream.tokens, digests.of(numbers), hashes, *target
                )
        self.n_bits += bits_set(planes)
        self.n_filters += int(has.sum())
        self._layout.set_validity(rows, self._column, has.view(np.bool_))
        filter_kernels.finish_filters(planes, self._positions, n, rows, self._column.first_word)


class _View:
    """Salts, tags and groups of one view."""

    def __init__(
        self, profile: Profile, spec: ViewSpec, keys: KeySchedule, layout: RowLayout
    ) -> None:
        for part in spec.salt:
            verify_salt_kind(spec.name, part.kind)
        view_keys = keys.of_view(spec.name)
        self.name = spec.name
        self._spec = spec
        self._layout = layout
        self._column = layout.presence(
            next(view for view in layout.views if view.name == spec.name)
        )
        self._salt_hasher = new_hasher(keys.hash, view_keys.salt, _SALT_KEY_BYTES)
        self._tag_hasher = new_hasher(keys.hash, view_keys.tag, DIGEST_BYTES)
        self.groups = [
            _Group(profile.groups[group], spec.name, profile.diffusion, keys, layout)
            for group in spec.groups
        ]

    def encode(
        self, blocks: Mapping[str, FieldBlock], memories: Mapping[str, FieldMemory], rows: U64
    ) -> None:
        salt_keys, tags, present = self._salted(blocks, len(rows))
        self._layout.set_validity(rows, self._column, present)
        if self._spec.tagged:
            rows[:, self._column.first_word] = tags
        for group in self.groups:
            group.encode(blocks, memories, salt_keys, present.view(np.uint8), rows)

    def _salted(self, blocks: Mapping[str, FieldBlock], n: int) -> tuple[U64, U64, Bools]:
        """Salt key and tag of each record, and whether it has a salt."""
        keys, tags = np.zeros((n, 2), dtype=np.uint64), np.zeros((n, 1), dtype=np.uint64)
        parts = [(part, blocks[part.field]) for part in self._spec.salt]
        if not parts:
            keys[:], tags[:] = self._salt_hasher.of_bytes(b""), self._tag_hasher.of_bytes(b"")
            return keys, _never_zero(tags), np.ones(n, dtype=np.bool_)
        messages, lengths = _framed([block.strings(part.kind) for part, block in parts], n)
        self._salt_hasher.of_messages(messages, lengths, keys)
        self._tag_hasher.of_messages(messages, lengths, tags)
        for record in np.flatnonzero(lengths < 0).tolist():
            salt = frame(
                salt_text(part.kind, block.value(record) or "").encode() for part, block in parts
            )
            keys[record] = self._salt_hasher.of_bytes(salt)
            tags[record] = self._tag_hasher.of_bytes(salt)
        present: Bools = lengths != 0
        return keys, np.where(present, _never_zero(tags), np.uint64(0)), present


def _weighed_streams(block: FieldBlock, token: TokenSpec) -> Iterator[tuple[TokenStream, int]]:
    """Tokens, and how many bits each of them sets."""
    if token.frequent == token.hashes:
        for stream in block.streams(token.kind):
            yield stream, token.hashes
        return
    for stream, is_frequent in block.streams_by_frequency(token.kind):
        yield stream, token.frequent if is_frequent else token.hashes


def _never_zero(tags: U64) -> U64:
    """A tag of 0 means absent; ENCODING.md puts 1 in its place."""
    return np.where(tags[:, 0] == 0, np.uint64(1), tags[:, 0])


def _framed(parts: Sequence[Strings], n: int, head: bytes = b"") -> tuple[U8, I64]:
    """``head`` and then each part's strings, framed; lengths as ``append_framed`` has them."""
    messages = np.zeros((n, blake2b_kernels.BLAKE2B_BLOCK_BYTES), dtype=np.uint8)
    messages[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    lengths = np.full(n, len(head), dtype=np.int64)
    first = not head
    for part in parts:
        blake2b_kernels.append_framed(messages, lengths, part.texts, part.lengths, first)
        first = False
    return messages, lengths


def _string_digests(
    block: FieldBlock, token: TokenSpec, hasher: Hasher | MessageHasher
) -> tuple[np.ndarray, U64]:
    """Records that have the one token of a kind, and digests ``(n,)`` of it."""
    kind, name = token.kind, token.hashed_as
    # frame(kind, name, position, value) without the value: the value's part is the last.
    head = frame((kind.encode("ascii"), name.encode("ascii"), b""))
    messages, lengths = _framed([block.strings(kind)], block.n_records, head)
    digests = np.zeros((block.n_records, 1), dtype=np.uint64)
    hasher.of_messages(messages, lengths, digests)
    # What no kernel took, and what has no string: that may be an empty token, or none.
    for record in np.flatnonzero((lengths <= 0) & block.present()).tolist():
        parts = token_parts(kind, block.value(record) or "")
        lengths[record] = len(parts)
        for part in parts:
            digests[record] = hasher.of_bytes(framed_token(kind, name, part))
    return np.flatnonzero(lengths > 0).astype(np.int32), digests[:, 0]
