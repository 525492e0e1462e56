"""One view of a block of records: salts, tags, filters; in NumPy, to be read first."""

from collections.abc import Sequence

import numpy as np

from linkage.encoding.diffusion import diffuse_planes, diffusion_positions
from linkage.encoding.filters import BlockTokens, bits_set, filters_of_planes, set_bits
from linkage.encoding.keyed_hash import MessageHash
from linkage.encoding.subkeys import KeySchedule, frame
from linkage.encoding.tokens import salt_text, verify_salt_kind
from linkage.encoding.values import BlockValues, TokenTable
from linkage.profile import GroupSpec, Profile, TokenSpec, ViewSpec
from linkage.types import I64, U64, Bools

_MEMO_SALTS = 65_536
_SALT_KEY_BYTES = 16
_DIGEST_BYTES = 8
_WORD_RECORDS = 64


class EncodedBlock:
    """A view of a block: tags, presence, and for each group filters and presence."""

    __slots__ = ("filter_present", "filters", "present", "tags")

    def __init__(self, tags: U64, present: Bools) -> None:
        self.tags = tags
        self.present = present
        self.filters: dict[str, U64] = {}
        self.filter_present: dict[str, Bools] = {}


class _TokenDigests:
    """Digests under one token key, beside the numbers of a :class:`TokenTable`.

    Digests hold no salt, so they can be remembered: what a filter shows of them is the output of a
    PRF under the record's salt key.
    """

    def __init__(self, digest: MessageHash, spec: TokenSpec) -> None:
        self.spec = spec
        self._digest = digest
        self._generation = -1
        self._digests: U64 = np.zeros(0, dtype=np.uint64)

    def of_table(self, table: TokenTable) -> U64:
        """``(k,) uint64`` digests of all tokens that the table holds now."""
        if table.generation != self._generation:
            self._generation = table.generation
            self._digests = np.zeros(0, dtype=np.uint64)
        new = table.framed(self.spec.hashed_as, len(self._digests))
        if new:
            raw = b"".join(map(self._digest, new))
            self._digests = np.concatenate(
                [self._digests, np.frombuffer(raw, dtype="<u8").astype(np.uint64)]
            )
        return self._digests


class GroupEncoder:
    """Filters of one group in one view."""

    def __init__(self, spec: GroupSpec, view: str, diffusion: int, keys: KeySchedule) -> None:
        group_keys = keys.of_group(view, spec.name)
        self.spec = spec
        digest = keys.hash.keyed(group_keys.token, _DIGEST_BYTES)
        self._digests = [_TokenDigests(digest, token) for token in spec.tokens]
        self._positions = diffusion_positions(
            group_keys.diffusion, spec.filter_bits, diffusion, keys.hash
        )
        self.n_bits = 0
        self.n_filters = 0

    def encode(self, values: BlockValues, present: Bools, salt_keys: U64) -> tuple[U64, Bools]:
        """Filters ``(n, filter_bits // 64)`` of a block, and which records have one."""
        tokens = self._block_tokens(values, present)
        has = np.zeros(values.n_records, dtype=np.bool_)
        has[tokens.record] = True
        planes = set_bits(tokens, salt_keys, self.spec.filter_bits)
        self.n_bits += bits_set(planes)
        self.n_filters += int(np.count_nonzero(has))
        filters = filters_of_planes(diffuse_planes(planes, self._positions))
        return filters[: values.n_records], has

    def _block_tokens(self, values: BlockValues, present: Bools) -> BlockTokens:
        records: list[I64] = []
        digests: list[U64] = []
        hashes: list[I64] = []
        for known in self._digests:
            record, token = values.tokens(known.spec.field, known.spec.kind)
            kept = present[record]
            records.append(record[kept])
            table = values.table(known.spec.field, known.spec.kind)
            digests.append(known.of_table(table)[token[kept]])
            frequent = np.array(table.frequent, dtype=np.bool_)[token[kept]]
            hashes.append(np.where(frequent, known.spec.frequent, known.spec.hashes))
        return BlockTokens(np.concatenate(records), np.concatenate(digests), np.concatenate(hashes))


class ViewEncoder:
    """Encodes one view, block by block.

    Raises:
        EncodingError: the view's salt cannot be made.
    """

    def __init__(self, profile: Profile, spec: ViewSpec, keys: KeySchedule) -> None:
        for part in spec.salt:
            verify_salt_kind(spec.name, part.kind)
        view_keys = keys.of_view(spec.name)
        self._spec = spec
        self._salt_digest = keys.hash.keyed(view_keys.salt, _SALT_KEY_BYTES)
        self._tag_digest = keys.hash.keyed(view_keys.tag, _DIGEST_BYTES)
        self._groups = [
            GroupEncoder(profile.groups[group], spec.name, profile.diffusion, keys)
            for group in spec.groups
        ]
        self._memo: dict[tuple[str, ...], tuple[bytes, bytes]] = {}

    def encode(self, values: BlockValues) -> EncodedBlock:
        """Encode the view for a block of records."""
        n_records = values.n_records
        padded = -(-n_records // _WORD_RECORDS) * _WORD_RECORDS
        salt_keys = bytearray(padded * _SALT_KEY_BYTES)
        tags = bytearray(n_records * _DIGEST_BYTES)
        present = np.zeros(n_records, dtype=np.bool_)
        for record, salt in enumerate(self._salts(values)):
            if salt is not None:
                key, tag = self._of_salt(salt)
                start = record * _SALT_KEY_BYTES
                salt_keys[start : start + _SALT_KEY_BYTES] = key
                tags[record * _DIGEST_BYTES : (record + 1) * _DIGEST_BYTES] = tag
                present[record] = True
        block = EncodedBlock(np.frombuffer(tags, dtype="<u8").astype(np.uint64), present)
        keys = np.frombuffer(salt_keys, dtype="<u8").astype(np.uint64).reshape(padded, 2)
        for group in self._groups:
            filters, has = group.encode(values, present, keys)
            block.filters[group.spec.name] = filters
            block.filter_present[group.spec.name] = has
        return block

    def fill_counts(self) -> dict[str, tuple[int, int]]:
        """For each ``view/group``: bits set before diffusion, and filters that are present."""
        return {
            f"{self._spec.name}/{group.spec.name}": (group.n_bits, group.n_filters)
            for group in self._groups
        }

    def _salts(self, values: BlockValues) -> Sequence[tuple[str, ...] | None]:
        """Salt of each record as one string a part; ``None`` where a part is missing."""
        if not self._spec.salt:
            return [()] * values.n_records
        columns = []
        for part in self._spec.salt:
            distinct, codes = values.numbered(part.field)
            texts = [salt_text(part.kind, value) for value in distinct]
            columns.append([texts[code] if code >= 0 else "" for code in codes.tolist()])
        return [parts if all(parts) else None for parts in zip(*columns, strict=True)]

    def _of_salt(self, salt: tuple[str, ...]) -> tuple[bytes, bytes]:
        """Record salt key (16 bytes) and salt tag (8 bytes) of a salt."""
        known = self._memo.get(salt)
        if known is None:
            if len(self._memo) >= _MEMO_SALTS:
                self._memo.clear()
            message = frame(part.encode() for part in salt)
            known = self._memo[salt] = (
                self._salt_digest(message),
                # 0 means absent, and so no tag may be 0.
                self._tag_digest(message).replace(bytes(8), b"\1" + bytes(7)),
            )
        return known
