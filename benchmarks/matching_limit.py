"""What the processor can do at best: and, count, add, in registers alone.

No loads, no test, no results: a comparison of whole filters cannot be faster than this, with the
instructions that it uses.
"""

import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from linkage.compiled import kernel
from linkage.matching.tile import TileVariant

_I64 = ir.IntType(64)
_DECLARE: Callable[..., Any] = cgutils.get_or_insert_function


def limit_kernel(variant: TileVariant) -> Callable[[int], int]:
    """A kernel that does the work of ``n`` words of one tile; returns something of no meaning."""
    lanes, counting = variant.columns, variant.counting

    @intrinsic
    def work(_typing_context: Any, _n_words: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return _write(builder, arguments[0], variant.rows, lanes, counting)

        return types.int64(types.int64), generate

    in_kernel: Callable[..., int] = work

    @kernel
    def limit(n_words: int) -> int:
        return in_kernel(n_words)

    return limit


def _write(builder: Any, n_words: Any, n_rows: int, lanes: int, counting: str) -> Any:
    vector = ir.VectorType(_I64, lanes)
    counted = vector if counting == "words" else ir.VectorType(ir.IntType(8), lanes * 8)
    name = f"llvm.ctpop.v{counted.count}i{counted.element.width}"
    count = _DECLARE(builder.module, ir.FunctionType(counted, [counted]), name)
    # An empty piece of assembly that claims to change a register: nothing is computed in advance.
    register = "v" if platform.machine() in ("x86_64", "AMD64") else "w"
    changed = ir.InlineAsm(
        ir.FunctionType(vector, [vector]), "", f"={register},0", side_effect=True
    )
    rows = [
        builder.call(changed, [ir.Constant(vector, [0x9E3779B97F4A7C15 * (row + 1) >> 9] * lanes)])
        for row in range(n_rows)
    ]
    before = builder.block
    inside, after = builder.append_basic_block("inside"), builder.append_basic_block("after")
    builder.branch(inside)
    builder.position_at_end(inside)
    index, column = builder.phi(_I64), builder.phi(vector)
    sums = [builder.phi(counted) for _ in rows]
    now = builder.call(changed, [column])
    for row, total in zip(rows, sums, strict=True):
        both = builder.bitcast(builder.and_(now, row), counted)
        total.add_incoming(ir.Constant(counted, [0] * counted.count), before)
        total.add_incoming(builder.add(total, builder.call(count, [both])), inside)
    following = builder.add(index, ir.Constant(_I64, 1))
    index.add_incoming(ir.Constant(_I64, 0), before)
    index.add_incoming(following, inside)
    column.add_incoming(ir.Constant(vector, [-1] * lanes), before)
    column.add_incoming(now, inside)
    builder.cbranch(builder.icmp_signed("<", following, n_words), inside, after)
    builder.position_at_end(after)
    total = builder.bitcast(sums[0], vector)
    for each in sums[1:]:
        total = builder.add(total, builder.bitcast(each, vector))
    return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))
