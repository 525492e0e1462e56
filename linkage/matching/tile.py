"""The innermost loop: 8 filters against a vector of filters, and the pairs with enough common bits.

A *tile* compares 8 filters of one side (its rows) with 2, 4 or 8 of the other (its columns, one to
a lane of a vector register).  For each pair it counts the common bits, word by word, and asks
whether they, the slack of the row and the slack of the column add up to 0 or more: a bound that
separates into a number for each side costs one addition at the start and one test of a sign at the
end.

numba has no vector types, so the tile is written in LLVM's intermediate representation and becomes
part of the kernel that calls it.  One text serves all processors; a :class:`TileVariant` says how
wide the vectors are and how bits are counted:

- ``products``: a product of matrices (``linkage.matching.products``, which does without this text);
- ``words``: one counting instruction for each lane of 64 bits (AVX-512 with VPOPCNTDQ);
- ``bytes``: counts of bytes, by a table of 16 entries in a register or the NEON instruction, added
  up in bytes and widened now and then.

All but the first run on every processor, since LLVM splits vectors that are too wide, so each can
be forced anywhere; :func:`fitting_variant` names the fastest for this one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from linkage.errors import MatchingError
from linkage.matching.products import BLOCK, is_permitted

_DECLARE: Callable[..., Any] = cgutils.get_or_insert_function

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
# A byte holds counts of at most 8 from each word: 31 words fit.
_WORDS_IN_BYTE_COUNTS = 31


@dataclass(frozen=True, slots=True)
class TileVariant:
    """How a tile uses the processor.

    Attributes:
        name: what logs say and options take.
        rows, columns: of the tile.
        counting: see the module's text.
        feature: of the processor, as LLVM names it, without which it is slow or impossible; empty
            for none.
        panel_bytes: heads of rows that are compared with all columns before the next are.
        words_a_finish: how many words of a pair the tile counts in the time that it takes to
            look at one pair by itself; steers choices that cost time only.
    """

    name: str
    rows: int
    columns: int
    counting: Literal["products", "words", "bytes"]
    feature: str
    panel_bytes: int
    words_a_finish: int


TILE_VARIANTS = (
    TileVariant("amx-int8", BLOCK, BLOCK, "products", "amx-int8", 128 << 10, 900),
    TileVariant("avx512-vpopcntdq", 8, 8, "words", "avx512vpopcntdq", 32 << 10, 350),
    TileVariant("avx512-bytes", 8, 8, "bytes", "avx512bw", 32 << 10, 150),
    TileVariant("avx2", 8, 4, "bytes", "avx2", 32 << 10, 100),
    TileVariant("128-bit", 8, 2, "bytes", "", 32 << 10, 50),
)
"""Fastest first; the last one suits any processor (SSE, NEON)."""


def usable_variants() -> tuple[TileVariant, ...]:
    """The variants that this processor can run, the one that suits it best first."""
    features = {"", *_processor_features()}
    can_multiply = "amx-int8" in features and is_permitted()
    fitting = [variant for variant in TILE_VARIANTS if variant.feature in features]
    others = [variant for variant in TILE_VARIANTS if variant.feature not in features]
    return tuple(
        variant for variant in (*fitting, *others) if variant.counting != "products" or can_multiply
    )


def fitting_variant() -> TileVariant:
    """The fastest variant for the processor that numba compiles for."""
    return usable_variants()[0]


def vector_variant() -> TileVariant:
    """The fastest variant that counts in vectors: what the tagged join's loops are compiled to."""
    return next(variant for variant in usable_variants() if variant.counting != "products")


def variant_called(name: str) -> TileVariant:
    """The variant of that name.

    Raises:
        MatchingError: there is none, or this processor cannot run it.
    """
    usable = usable_variants()
    for variant in usable:
        if variant.name == name:
            return variant
    known = ", ".join(variant.name for variant in usable)
    raise MatchingError(f"There is no kernel '{name}' for this processor. Choose one of: {known}.")


def _processor_features() -> set[str]:
    # Through numba, so that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES count.
    described: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return {name[1:] for name in described.split(",") if name.startswith("+")}


def tile_intrinsic(variant: TileVariant) -> Callable[..., Any]:
    """A function for kernels: the pairs of one tile that have enough common bits.

    Its arguments, in the layout of ``linkage.matching.packing``::

        tile(left, left_at, right, right_at, n_words, left_slack, row_at, right_slack, column_at)

    ``left`` and ``right`` are flat ``uint64`` arrays of packed filters, and ``left_at`` and
    ``right_at`` (in words) say where the rows and the columns begin; ``left_slack`` and
    ``right_slack`` are flat ``int64`` arrays, read from ``row_at`` and ``column_at`` on.  It
    returns a ``uint64`` whose bit ``row * lanes + column`` is set where::

        common bits of the first n_words words + left_slack[row] + right_slack[column] >= 0
    """

    @intrinsic
    def tile(
        _typing_context: Any,
        left: Any,
        left_at: Any,
        right: Any,
        right_at: Any,
        n_words: Any,
        left_slack: Any,
        row_at: Any,
        right_slack: Any,
        column_at: Any,
    ) -> Any:
        given = (
            left,
            left_at,
            right,
            right_at,
            n_words,
            left_slack,
            row_at,
            right_slack,
            column_at,
        )

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values = [
                context.make_array(kind)(context, builder, value).data
                if isinstance(kind, types.Array)
                else value
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            return _TileWriter(builder, variant).write(*values)

        integers = [kind if isinstance(kind, types.Array) else types.int64 for kind in given]
        return types.uint64(*integers), generate

    return tile


class _TileWriter:
    """Writes one tile into a function that is being built."""

    def __init__(self, builder: Any, variant: TileVariant) -> None:
        self._builder = builder
        self._variant = variant
        self._lanes = ir.VectorType(_I64, variant.columns)
        self._bytes = ir.VectorType(_I8, variant.columns * 8)
        self._no_lanes = ir.Constant(self._lanes, [0] * variant.columns)
        self._no_bytes = ir.Constant(self._bytes, [0] * variant.columns * 8)

    def write(
        self,
        left: Any,
        left_at: Any,
        right: Any,
        right_at: Any,
        n_words: Any,
        left_slack: Any,
        row_at: Any,
        right_slack: Any,
        column_at: Any,
    ) -> Any:
        # Counts start at the slack: in the end, a pair passes if its sign is not negative.
        column_slack = self._load_lanes(right_slack, column_at)
        starts = [
            self._builder.add(column_slack, self._spread(self._load(left_slack, row_at, row)))
            for row in range(self._variant.rows)
        ]
        left = self._builder.gep(left, [left_at])
        right = self._builder.gep(right, [right_at])
        if self._variant.counting == "words":
            counts = self._loop(
                _number(0), n_words, starts, lambda word, sums: self._count(left, right, word, sums)
            )
        else:
            counts = self._count_in_bytes(left, right, n_words, starts)
        return self._mask(counts)

    def _count_in_bytes(self, left: Any, right: Any, n_words: Any, starts: list[Any]) -> list[Any]:
        def add_part(first: Any, sums: list[Any]) -> list[Any]:
            behind = self._builder.add(first, _number(_WORDS_IN_BYTE_COUNTS))
            stop = self._builder.select(
                self._builder.icmp_signed("<", behind, n_words), behind, n_words
            )
            byte_counts = self._loop(
                first,
                stop,
                [self._no_bytes] * self._variant.rows,
                lambda word, counts: self._count(left, right, word, counts),
            )
            return [
                self._builder.add(total, self._widen(counts))
                for total, counts in zip(sums, byte_counts, strict=True)
            ]

        return self._loop(_number(0), n_words, starts, add_part, step=_WORDS_IN_BYTE_COUNTS)

    def _count(self, left: Any, right: Any, word: Any, counts: list[Any]) -> list[Any]:
        """Counts of common bits, with those of one more word."""
        builder = self._builder
        columns = self._load_lanes(right, builder.mul(word, _number(self._variant.columns)))
        first = builder.mul(word, _number(self._variant.rows))
        added = []
        for row, count in enumerate(counts):
            both = builder.and_(columns, self._spread(self._load(left, first, row)))
            added.append(builder.add(count, self._population(builder.bitcast(both, count.type))))
        return added

    def _population(self, vector: Any) -> Any:
        # llvmlite's own ctpop knows no vectors.
        kind = vector.type
        name = f"llvm.ctpop.v{kind.count}i{kind.element.width}"
        function = _DECLARE(self._builder.module, ir.FunctionType(kind, [kind]), name)
        return self._builder.call(function, [vector])

    def _widen(self, byte_counts: Any) -> Any:
        """Sum of the eight bytes of each lane."""
        total = self._builder.bitcast(byte_counts, self._lanes)
        for bits, kept in ((8, 0x00FF00FF00FF00FF), (16, 0x0000FFFF0000FFFF), (32, 0xFFFFFFFF)):
            lanes = self._variant.columns
            mask = ir.Constant(self._lanes, [kept] * lanes)
            shifted = self._builder.lshr(total, ir.Constant(self._lanes, [bits] * lanes))
            total = self._builder.add(
                self._builder.and_(total, mask), self._builder.and_(shifted, mask)
            )
        return total

    def _mask(self, counts: list[Any]) -> Any:
        """One bit for each count that is not negative.  To find none, the usual case, is fast."""
        builder = self._builder
        bits = ir.IntType(self._variant.columns)
        all_negative = counts[0]
        for count in counts[1:]:
            all_negative = builder.and_(all_negative, count)
        passed = builder.icmp_signed(">=", all_negative, self._no_lanes)
        some = builder.icmp_unsigned("!=", builder.bitcast(passed, bits), ir.Constant(bits, 0))
        start = builder.block
        collect = builder.append_basic_block("collect")
        done = builder.append_basic_block("done")
        builder.cbranch(some, collect, done)
        builder.position_at_end(collect)
        mask = _number(0)
        for row, count in enumerate(counts):
            passed = builder.bitcast(builder.icmp_signed(">=", count, self._no_lanes), bits)
            shifted = builder.shl(builder.zext(passed, _I64), _number(row * self._variant.columns))
            mask = builder.or_(mask, shifted)
        builder.branch(done)
        builder.position_at_end(done)
        result = builder.phi(_I64)
        result.add_incoming(_number(0), start)
        result.add_incoming(mask, collect)
        return result

    def _loop(
        self,
        first: Any,
        stop: Any,
        carried: list[Any],
        body: Callable[[Any, list[Any]], list[Any]],
        step: int = 1,
    ) -> list[Any]:
        """``for index in range(first, stop, step): carried = body(index, carried)``, never none."""
        builder = self._builder
        before = builder.block
        inside = builder.append_basic_block("inside")
        after = builder.append_basic_block("after")
        builder.branch(inside)
        builder.position_at_end(inside)
        index = builder.phi(_I64)
        index.add_incoming(first, before)
        phis = [builder.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        results = body(index, list(phis))
        following = builder.add(index, _number(step))
        end = builder.block  # the body may hold a loop itself
        index.add_incoming(following, end)
        for phi, value in zip(phis, results, strict=True):
            phi.add_incoming(value, end)
        builder.cbranch(builder.icmp_signed("<", following, stop), inside, after)
        builder.position_at_end(after)
        return results

    def _load(self, array: Any, start: Any, offset: int) -> Any:
        place = self._builder.add(start, _number(offset))
        return self._builder.load(self._builder.gep(array, [place]))

    def _load_lanes(self, array: Any, start: Any) -> Any:
        place = self._builder.gep(array, [start])
        # Arrays are aligned to cache lines, but a wrong layout should be slow, not a crash.
        return self._builder.load(self._builder.bitcast(place, self._lanes.as_pointer()), align=8)

    def _spread(self, scalar: Any) -> Any:
        """The same number in every lane; it becomes a part of the instruction that uses it."""
        undefined = ir.Constant(self._lanes, ir.Undefined)
        one = self._builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
        zeros = ir.Constant(ir.VectorType(_I32, self._variant.columns), [0] * self._variant.columns)
        return self._builder.shuffle_vector(one, undefined, zeros)


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)
