"""Counting common bits as a product of matrices, on processors that have a unit for that (AMX).

The common bits of two filters are the scalar product of their bits.  Intel's matrix unit multiplies
16 x 64 by 64 x 16 bytes in sixteen cycles, so filters spread to one byte a bit are compared some
twice as fast as by counting bits in vectors, in spite of eight times the bytes.  A *block* is 32
rows by 32 columns: four accumulators of the unit, two registers for each side.

Columns are spread once a cell, rows once a panel; columns are gone through in chunks that stay in
the second cache.
"""

import ctypes
import platform
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from linkage.compiled import kernel
from linkage.matching.finish import FINISHED, Output, Rule, Side, keep_matching, stop_at
from linkage.types import I64, U64

BLOCK = 32
_TILE = 16
_CHUNK_BYTES = 1 << 19
_MASKS_A_BLOCK = BLOCK * BLOCK // 64
_WAITING_ROOM = 4 * _MASKS_A_BLOCK
_NEVER = -(1 << 28)

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_DECLARE: Callable[..., Any] = cgutils.get_or_insert_function

# Linux gives a process the unit's large registers on request only (Documentation/arch/x86/xstate).
_ARCH_PRCTL = 158
_ARCH_REQ_XCOMP_PERM = 0x1023
_XFEATURE_XTILEDATA = 18


@cache
def is_permitted() -> bool:
    """Whether the operating system lets this process use the matrix unit; asks it to."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    system = ctypes.CDLL(None)
    return bool(system.syscall(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0)


def _unit(builder: Any, name: str, *arguments: Any) -> None:
    kinds = [argument.type for argument in arguments]
    function = _DECLARE(builder.module, ir.FunctionType(ir.VoidType(), kinds), f"llvm.x86.{name}")
    builder.call(function, arguments)


def _data(context: Any, builder: Any, kind: Any, array: Any, at: Any = None) -> Any:
    """Pointer to the bytes of an array, from an element on."""
    pointer = context.make_array(kind)(context, builder, array).data
    if at is not None:
        pointer = builder.gep(pointer, [at])
    return builder.bitcast(pointer, _I8.as_pointer())


def _intrinsic(write: Callable[..., Any]) -> Callable[..., Any]:
    return intrinsic(write)


@_intrinsic
def _configure(_typing_context: Any, shapes: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _unit(builder, "ldtilecfg", _data(context, builder, signature.args[0], arguments[0]))
        return context.get_dummy_value()

    return types.void(shapes), generate


@_intrinsic
def _release(_typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        _unit(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@_intrinsic
def _multiply(
    _typing_context: Any,
    rows: Any,
    _row_at: Any,
    columns: Any,
    _column_at: Any,
    _n_words: Any,
    to: Any,
) -> Any:
    """Products of a block: ``to`` gets four times 16 x 16 ``int32``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        left = _data(context, builder, kinds[0], arguments[0], arguments[1])
        right = _data(context, builder, kinds[2], arguments[2], arguments[3])
        sums = _data(context, builder, kinds[5], arguments[5])
        _write_products(builder, left, right, arguments[4], sums)
        return context.get_dummy_value()

    return types.void(rows, types.int64, columns, types.int64, types.int64, to), generate


def _write_products(builder: Any, left: Any, right: Any, n_words: Any, sums: Any) -> None:
    stride, half = ir.Constant(_I64, 64), ir.Constant(_I64, 1024)
    accumulators = [ir.Constant(_I8, number) for number in range(4)]
    rows, columns = (
        [ir.Constant(_I8, 4), ir.Constant(_I8, 5)],
        [ir.Constant(_I8, 6), ir.Constant(_I8, 7)],
    )
    for accumulator in accumulators:
        _unit(builder, "tilezero", accumulator)
    before = builder.block
    inside, after = builder.append_basic_block("inside"), builder.append_basic_block("after")
    builder.branch(inside)
    builder.position_at_end(inside)
    word = builder.phi(_I64)
    word.add_incoming(ir.Constant(_I64, 0), before)
    at = builder.mul(word, ir.Constant(_I64, 2 * 1024))
    for side, registers in ((left, rows), (right, columns)):
        start = builder.gep(side, [at])
        _unit(builder, "tileloadd64", registers[0], start, stride)
        _unit(builder, "tileloadd64", registers[1], builder.gep(start, [half]), stride)
    for number, accumulator in enumerate(accumulators):
        _unit(builder, "tdpbssd", accumulator, rows[number // 2], columns[number % 2])
    following = builder.add(word, ir.Constant(_I64, 1))
    word.add_incoming(following, inside)
    builder.cbranch(builder.icmp_signed("<", following, n_words), inside, after)
    builder.position_at_end(after)
    for number, accumulator in enumerate(accumulators):
        place = builder.gep(sums, [ir.Constant(_I64, 1024 * number)])
        _unit(builder, "tilestored64", accumulator, place, stride)


@_intrinsic
def _passed(
    _typing_context: Any,
    sums: Any,
    _sums_at: Any,
    row_slack: Any,
    _row_at: Any,
    column_slack: Any,
    _column_at: Any,
    masks: Any,
) -> Any:
    """Which of 16 x 16 sums pass: writes a mask of 16 bits for each row; whether there is any."""
    given = (sums, types.int64, row_slack, types.int64, column_slack, types.int64, masks)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def pointer(number: int, at: Any = None) -> Any:
            return _data(context, builder, signature.args[number], arguments[number], at)

        return _write_passed(
            builder,
            pointer(0, arguments[1]),
            pointer(2, arguments[3]),
            pointer(4, arguments[5]),
            pointer(6),
        )

    return types.boolean(*given), generate


def _write_passed(builder: Any, sums: Any, row_slack: Any, column_slack: Any, masks: Any) -> Any:
    vector = ir.VectorType(_I32, _TILE)
    flags = ir.IntType(_TILE)
    none = ir.Constant(vector, [0] * _TILE)

    def load(pointer: Any, kind: Any, number: int) -> Any:
        place = builder.gep(pointer, [ir.Constant(_I64, number)])
        return builder.load(place, align=kind)

    sum_rows = builder.bitcast(sums, vector.as_pointer())
    slacks = builder.bitcast(row_slack, _I32.as_pointer())
    columns = load(builder.bitcast(column_slack, vector.as_pointer()), 4, 0)
    totals = []
    undefined = ir.Constant(vector, ir.Undefined)
    for row in range(_TILE):
        one = builder.insert_element(undefined, load(slacks, 4, row), ir.Constant(_I32, 0))
        spread = builder.shuffle_vector(one, undefined, none)
        totals.append(builder.add(load(sum_rows, 4, row), builder.add(columns, spread)))
    all_negative = totals[0]
    for total in totals[1:]:
        all_negative = builder.and_(all_negative, total)
    some = builder.bitcast(builder.icmp_signed(">=", all_negative, none), flags)
    some = builder.icmp_unsigned("!=", some, ir.Constant(flags, 0))
    with builder.if_then(some, likely=False):
        to = builder.bitcast(masks, flags.as_pointer())
        for row, total in enumerate(totals):
            passed = builder.bitcast(builder.icmp_signed(">=", total, none), flags)
            builder.store(passed, builder.gep(to, [ir.Constant(_I64, row)]), align=2)
    return some


@kernel
def _spread(word: Any, nibble: int) -> Any:
    """Four bits of a word as the four bytes of a ``uint32``."""
    bits = np.uint32((word >> np.uint64(4 * nibble)) & np.uint64(15))
    return (bits * np.uint32(0x00204081)) & np.uint32(0x01010101)


@kernel
def _spread_rows(head: Any, first: int, n_words: int, spread: Any) -> None:
    """Heads of rows ``first`` and on: ``[block of 32][word][row][16]`` of four bytes."""
    for place in range(len(spread) // (n_words * _TILE)):
        block, row = place // BLOCK, place % BLOCK
        for word in range(n_words):
            value = head[(first + place) * n_words + word]
            at = ((block * n_words + word) * BLOCK + row) * _TILE
            for nibble in range(_TILE):
                spread[at + nibble] = _spread(value, nibble)


SPREAD_WORDS = 8
"""Words that a word takes when it is spread to one byte a bit."""


def spread_into(spread: U64, first: int, heads: U64) -> None:
    """Write heads of columns ``(n, n_words)``, spread, from column ``first`` on.

    Args:
        spread: flat, :data:`SPREAD_WORDS` for each word; filled up to whole blocks with zeros.
        first: a multiple of :data:`BLOCK`.
        heads: as they come.
    """
    n, n_words = heads.shape
    whole = np.zeros((-(-n // BLOCK) * BLOCK, n_words), dtype=np.uint64)
    whole[:n] = heads
    target = spread[first * n_words * SPREAD_WORDS :].view(np.uint32)
    _spread_columns(whole.reshape(-1), 0, len(whole), n_words, target)


@kernel
def _spread_columns(head: Any, first: int, n: int, n_words: int, spread: Any) -> None:
    """Heads of ``n`` columns: ``[block of 32][word][half][16][column]`` of four bytes."""
    for sixteen in range(n // _TILE):
        for word in range(n_words):
            at = ((sixteen // 2 * n_words + word) * 2 + sixteen % 2) * _TILE * _TILE
            for nibble in range(_TILE):
                for column in range(_TILE):
                    value = head[(first + sixteen * _TILE + column) * n_words + word]
                    spread[at + nibble * _TILE + column] = _spread(value, nibble)


@kernel
def _aligned(n: int) -> Any:
    """``(n,) uint32`` that begins at a cache line."""
    room = np.empty(n + 16, dtype=np.uint32)
    start = (64 - room.ctypes.data % 64) % 64 // 4
    return room[start : start + n]


@kernel
def _shapes() -> Any:
    """The unit's configuration: eight registers of 16 rows of 64 bytes."""
    shapes = np.zeros(64, dtype=np.uint8)
    shapes[0] = 1
    for register in range(8):
        shapes[16 + 2 * register] = 64
        shapes[48 + register] = 16
    return shapes


@kernel
def scan_products(
    left: Side,
    right: Side,
    bound_switch: I64,
    n_words: int,
    rule: Rule,
    within: bool,
    first_block: int,
    stop_block: int,
    output: Output,
) -> None:
    """Scan the rows ``first_block`` to ``stop_block`` of a cell, in blocks of 32 by 32."""
    left_slack = np.maximum(left.slack, _NEVER).astype(np.int32)
    right_slack = np.maximum(right.slack, _NEVER).astype(np.int32)
    rows = _aligned((stop_block - first_block) * BLOCK * n_words * _TILE)
    _spread_rows(left.head, first_block * BLOCK, n_words, rows)
    _configure(_shapes())
    _scan_blocks(
        left,
        right,
        left_slack,
        right_slack,
        rows,
        bound_switch,
        n_words,
        rule,
        within,
        first_block,
        stop_block,
        output,
    )
    _release()


@kernel
def _scan_blocks(
    left: Side,
    right: Side,
    left_slack: Any,
    right_slack: Any,
    rows: Any,
    bound_switch: I64,
    n_words: int,
    rule: Rule,
    within: bool,
    first_block: int,
    stop_block: int,
    output: Output,
) -> None:
    room = len(output.left) - 64 * _WAITING_ROOM
    n_left, n_right = len(left_slack) // 2, len(right_slack) // 2
    words_a_block = BLOCK * n_words * _TILE
    a_chunk = max(1, _CHUNK_BYTES // (4 * words_a_block))
    columns = right.head.view(np.uint32)
    sums = _aligned(BLOCK * BLOCK).view(np.int32)
    four_rows = np.zeros(4, dtype=np.uint64)
    masks = np.empty(_WAITING_ROOM, dtype=np.uint64)
    corners = np.empty((_WAITING_ROOM, 2), dtype=np.int64)
    waiting = 0
    found, go_on_at, row_block = output.state[0], output.state[1], output.state[2]
    # Chunks begin at multiples, so that a scan that goes on has the same ones.
    for chunk in range(go_on_at // a_chunk * a_chunk, n_right // BLOCK, a_chunk):
        behind = min(chunk + a_chunk, n_right // BLOCK)
        for block in range(row_block, stop_block):
            # Within one set, only blocks on the diagonal and to its right.
            start = max(chunk, go_on_at, block if within else 0)
            go_on_at = 0
            for column_block in range(start, behind):
                _multiply(
                    rows,
                    (block - first_block) * words_a_block,
                    columns,
                    column_block * words_a_block,
                    n_words,
                    sums,
                )
                by_right = 1 if block >= bound_switch[column_block] else 0
                for quarter in range(4):
                    row = block * BLOCK + quarter // 2 * _TILE
                    column = column_block * BLOCK + quarter % 2 * _TILE
                    if _passed(
                        sums,
                        quarter * _TILE * _TILE,
                        left_slack,
                        (1 - by_right) * n_left + row,
                        right_slack,
                        by_right * n_right + column,
                        four_rows,
                    ):
                        for four in range(4):
                            if four_rows[four]:
                                masks[waiting] = four_rows[four]
                                corners[waiting, 0], corners[waiting, 1] = row + 4 * four, column
                                waiting += 1
                # Only whole blocks wait, so that one can be gone back to.
                if waiting > _WAITING_ROOM - _MASKS_A_BLOCK:
                    if found > room:
                        stop_at(corners[0, 1] // BLOCK, corners[0, 0] // BLOCK, found, output.state)
                        return
                    found = keep_matching(
                        left,
                        right,
                        _TILE,
                        masks[:waiting],
                        corners,
                        rule,
                        within,
                        output,
                        found,
                    )
                    waiting = 0
        row_block = first_block
    if found > room and waiting:
        stop_at(corners[0, 1] // BLOCK, corners[0, 0] // BLOCK, found, output.state)
        return
    found = keep_matching(left, right, _TILE, masks[:waiting], corners, rule, within, output, found)
    stop_at(FINISHED, first_block, found, output.state)
