"""Compiled loops of the tagged join: gathering rows, and comparing all pairs inside tag groups.

All of it is integer work on arrays that the caller owns, releases Python's lock, and gives the
same result on every machine.  The inner loop, :data:`near_mask`, is written as vector code of LLVM,
which turns it into AVX-512, AVX2 or NEON as the machine has it: one row against 64 columns, eight
sums of eight columns each, word by word.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import int64, types, uint64
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from linkage.compiled import kernel

LANES = 64
"""Columns compared at a time."""

cgutils: Any = untyped_cgutils

_SMALL_GROUP = 12
_WIDTH = 8


def _popcount(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


popcount: Any = intrinsic(_popcount)


def _word() -> Any:
    return ir.IntType(64)


def _vector() -> Any:
    return ir.VectorType(_word(), _WIDTH)


def _number(value: int) -> Any:
    return ir.Constant(_word(), value)


def _splat(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(
        ir.Constant(_vector(), ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), [0] * _WIDTH)
    return builder.shuffle_vector(first, ir.Constant(_vector(), ir.Undefined), zeros)


def _load_columns(builder: Any, word: Any, part: int) -> Any:
    place = builder.gep(word, [_number(part * _WIDTH)])
    vector = builder.load(builder.bitcast(place, _vector().as_pointer()))
    vector.align = 8
    return vector


def _mask_of(builder: Any, flags: Sequence[Any]) -> Any:
    """One bit for each of 64 columns, out of eight vectors of flags."""
    mask = _number(0)
    for part, flag in enumerate(flags):
        eight = builder.zext(builder.bitcast(flag, ir.IntType(_WIDTH)), _word())
        mask = builder.or_(mask, builder.shl(eight, _number(part * _WIDTH)))
    return mask


def _near_mask(_context: Any, _row: Any, _block: Any, _n_words: Any, _most: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        row, block, n_words, most = arguments
        pointer = _word().as_pointer()
        row, block = builder.inttoptr(row, pointer), builder.inttoptr(block, pointer)
        popcount = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_vector(), [_vector()]), f"llvm.ctpop.v{_WIDTH}i64"
        )
        sums = [cgutils.alloca_once_value(builder, ir.Constant(_vector(), None)) for _ in range(8)]
        for total in sums:
            builder.store(ir.Constant(_vector(), None), total)
        with cgutils.for_range(builder, n_words, intp=_word()) as loop:
            wanted = _splat(builder, builder.load(builder.gep(row, [loop.index])))
            word = builder.gep(block, [builder.mul(loop.index, _number(LANES))])
            for part, total in enumerate(sums):
                differing = builder.xor(wanted, _load_columns(builder, word, part))
                ones = builder.call(popcount, [differing])
                builder.store(builder.add(builder.load(total), ones), total)
        limit = _splat(builder, most)
        return _mask_of(
            builder, [builder.icmp_unsigned("<=", builder.load(total), limit) for total in sums]
        )

    return types.uint64(types.uintp, types.uintp, types.int64, types.uint64), generate


def _equal_mask(_context: Any, _wanted: Any, _block: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wanted = _splat(builder, arguments[0])
        block = builder.inttoptr(arguments[1], _word().as_pointer())
        columns = [_load_columns(builder, block, part) for part in range(8)]
        return _mask_of(builder, [builder.icmp_unsigned("==", wanted, each) for each in columns])

    return types.uint64(types.uint64, types.uintp), generate


near_mask: Any = intrinsic(_near_mask)
"""Columns of a block whose Hamming distance to a row is ``most`` at most, one bit for each.

Takes the address of the row's words, of the block ``(n_words, 64) uint64``, ``n_words``, ``most``.
"""

equal_mask: Any = intrinsic(_equal_mask)
"""Columns of a block ``(64,) uint64`` (its address) that are equal to a number."""


@kernel
def take_rows(source: Any, offset: int, numbers: Any, places: Any, target: Any, first: int) -> None:
    """``target[places[i], first:first + words] = source[numbers[i] - offset]`` for each i."""
    words = source.shape[1]
    for i in range(len(numbers)):
        row, place = numbers[i] - offset, places[i]
        for w in range(words):
            target[place, first + w] = source[row, w]


@kernel
def fill_noise(numbers: Any, absent: Any, target: Any, first: int, words: int) -> Any:
    """Bits that resemble nothing in place of filters that are absent, always the same ones."""
    for i in range(len(numbers)):
        if absent[i]:
            state = uint64(numbers[i]) * uint64(0x9E3779B97F4A7C15) + uint64(first)
            for w in range(words):
                state += uint64(0x9E3779B97F4A7C15)
                z = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
                target[i, first + w] = z ^ (z >> uint64(31))


@kernel
def hamming_rows(rows: Any, left: Any, right: Any, distances: Any) -> Any:
    """Hamming distances of pairs of rows; ``distances`` is filled."""
    for pair in range(len(left)):
        a, b = left[pair], right[pair]
        total = uint64(0)
        for w in range(rows.shape[1]):
            total += popcount(rows[a, w] ^ rows[b, w])
        distances[pair] = total


@kernel
def _hits_of_row(i: int, block: Any, valid: Any, bucket: Any, rule: Any, quick: Any) -> Any:
    """The columns of a block that a row may not be dropped with, one bit for each."""
    rows, others, presence = bucket[0], bucket[1], bucket[4]
    required, tests, tested, most = quick
    n_words = rows.shape[1]
    first_word = rule[0]
    dropped = uint64(0)
    for look in range(len(required)):
        if presence[i] & required[look] != required[look]:
            continue
        near = uint64(0)
        for k in range(tests[look], tests[look + 1]):
            low = first_word[tested[k]]
            near |= near_mask(
                rows[i, low:].ctypes.data,
                block[low].ctypes.data,
                first_word[tested[k] + 1] - low,
                most[k],
            )
        dropped |= valid[look] & ~near
        if dropped == ~uint64(0):
            break
    hits = ~dropped
    for t in range(others.shape[1]):
        hits |= equal_mask(others[i, t], block[n_words + t].ctypes.data)
    return hits


@kernel
def _copy_block(block: Any, valid: Any, j0: int, j1: int, bucket: Any, quick: Any) -> Any:
    """Filters and other tags of some columns, word by word; columns that each quick look takes."""
    rows, others, presence = bucket[0], bucket[1], bucket[4]
    n_words = rows.shape[1]
    for j in range(j0, j1):
        for w in range(n_words):
            block[w, j - j0] = rows[j, w]
        for t in range(others.shape[1]):
            block[n_words + t, j - j0] = others[j, t]
    required = quick[0]
    for look in range(len(required)):
        valid[look] = uint64(0)
        for j in range(j0, j1):
            if presence[j] & required[look] == required[look]:
                valid[look] |= uint64(1) << uint64(j - j0)


@kernel
def _consider(
    i: int,
    j0: int,
    hits: Any,
    across: int,
    bucket: Any,
    rule: Any,
    out: Any,
    n_out: int,
    counts: Any,
) -> Any:
    """Look closely at a row with each column of a block that ``hits`` says.

    Writes the pairs that must be kept; returns how many are written so far.
    """
    rows, others, views_present, filters_present, _ = bucket
    first_word, other_bit, other_code, n_earlier, level_index = rule[:5]
    feature_of, radix, place_of, strides, keep = rule[5:]
    codes = np.empty(len(strides), dtype=np.int64)
    out_left, out_right, out_distances = out
    while hits:
        lowest = hits & (~hits + uint64(1))
        hits ^= lowest
        j = j0 + int64(popcount(lowest - uint64(1)))
        both = views_present[i] & views_present[j]
        agreeing = 0
        code = 0
        for t in range(others.shape[1]):
            if both & other_bit[t]:
                if others[i, t] == others[j, t]:
                    agreeing |= 1 << t
                else:
                    code += other_code[t]
        if agreeing & ((1 << n_earlier) - 1):
            # An earlier view has counted it.
            counts[0] -= 1
            counts[1] -= j >= across
        codes[:] = 0
        filters_of_both = filters_present[i] & filters_present[j]
        for f in range(len(radix)):
            out_distances[n_out, f] = -1
            if (filters_of_both >> f) & 1:
                total = uint64(0)
                for w in range(first_word[f], first_word[f + 1]):
                    total += popcount(rows[i, w] ^ rows[j, w])
                out_distances[n_out, f] = total
                codes[feature_of[f]] += radix[f] * level_index[f, total]
        pattern = 0
        for q in range(len(strides)):
            pattern += strides[q] * place_of[q, codes[q]]
        if agreeing or keep[code, pattern]:
            out_left[n_out] = i
            out_right[n_out] = j
            n_out += 1
    return n_out


@kernel
def join_groups(
    groups: Any,
    bucket: Any,
    rule: Any,
    quick: Any,
    part: Any,
    out: Any,
    state: Any,
    counts: Any,
    n_pairs: int,
) -> Any:
    """Compare all pairs inside groups of equal tags, and write those that must be kept.

    Stops when ``out`` may be too full for another row, or when ``n_pairs`` were looked
    at, and goes on from ``state`` when called again.

    Args:
        groups: where groups of the bucket's records begin ``(n_groups + 1,) int64``; for each
            record the first one of its group that it is paired with ``(m,) int64``; and the first
            one of its group that is of a later dataset ``(m,) int64``.
        bucket: rows ``(m, words) uint64``, other tags ``(m, t) uint64`` (different where absent),
            bits of views present ``(m,) int64``, bits of filters present ``(m,) int64``, and
            presence ``(m,) int64`` as quick looks require it.
        rule: ``LocalRule.compiled`` in ``linkage.matching.local_evidence``.
        quick: required, tests, tested and most of ``LocalRule``.
        part: (part, n_parts): which of the interleaved blocks to do.
        out: left, right ``(c,) int64`` (places in the bucket), distances ``(c, n_filters) int16``.
        state: ``(3,) int64``: group, block, row to go on from.
        counts: ``(4,) int64``: pairs met here first, those of them across datasets, pairs looked
            at, and whether all is done.
        n_pairs: about how many to look at, at least one.

    Returns:
        Pairs written.
    """
    starts, first_new, first_across = groups
    capacity = len(out[0]) - LANES
    block = np.zeros((bucket[0].shape[1] + bucket[1].shape[1], LANES), dtype=np.uint64)
    valid = np.zeros(len(quick[0]), dtype=np.uint64)
    n_out = 0
    enough = counts[2] + n_pairs
    group, column, row = state[0], state[1], state[2]
    while group < len(starts) - 1:
        low, high = starts[group], starts[group + 1]
        small = high - low <= _SMALL_GROUP
        while low + column * LANES < high:
            j0 = low + column * LANES
            j1 = min(j0 + LANES, high)
            mine = (group + column) % part[1] == part[0]
            if mine and not small:
                _copy_block(block, valid, j0, j1, bucket, quick)
            i = low + row if mine else j1
            while i < j1:
                begin = max(j0, first_new[i])
                if begin < j1:
                    if n_out > capacity or counts[2] >= enough:
                        state[0], state[1], state[2] = group, column, i - low
                        return n_out
                    counts[0] += j1 - begin
                    counts[1] += max(0, j1 - max(begin, first_across[i]))
                    counts[2] += j1 - begin
                    hits = ~uint64(0)
                    if not small:
                        hits = _hits_of_row(i, block, valid, bucket, rule, quick)
                    hits &= ~uint64(0) << uint64(begin - j0)
                    hits &= ~uint64(0) >> uint64(LANES - (j1 - j0))
                    if hits:
                        across = first_across[i]
                        n_out = _consider(i, j0, hits, across, bucket, rule, out, n_out, counts)
                i += 1
            row = 0
            column += 1
        column = 0
        group += 1
    counts[3] = 1
    return n_out
