"""How many pairs of filters of equal tags one NVIDIA GPU compares a second.

    python benchmarks/gpu_pairs.py [--quick] [--json FILE]

Needs a GPU, and PyTorch with Triton (and CuPy for the second way), which are no dependencies of
this project: nothing else here uses a GPU.  It imports nothing of the project either, so that it
can be copied to a machine that has one.

Two registers of filters of 1280 bits in tag groups are compared group by group, on the Dice rule
of ``linkage.matching.dice_pairs``.  The threshold is fused into the comparing, so that only pairs
that reach it are written.  Two ways:

- ``int8``: bits spread to one byte each, common bits as a product of matrices of bytes (Triton).
- ``bits``: packed bits, and+count in the tensor cores (``mma.sync ... b1 ... and.popc``, CUDA C++).

Both are held to NumPy on a small case: the same pairs, and none twice.  Time is that of the
device by its own events, median and range of several; data is on the device before.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl

FILTER_BITS = 1280
WORDS = FILTER_BITS // 32
THRESHOLD = 0.80
GROUP_ROWS = 1712
"""Records of a register of ten million that share a birth date, of sixteen years."""

N_REPETITIONS = 9


# --- the data -------------------------------------------------------------------------------


class Registers:
    """Two registers on the device, sorted by tag.

    Attributes:
        packed: for each side ``(n, WORDS) int32``.
        need: for each side ``(n,) int32``: the Dice rule, as a sum of one number a side, rounded
            down, so that no pair is lost; what passes is compared exactly.
        starts: for each side where groups begin, ``(n_groups + 1,) int64``.
    """

    def __init__(self, n_groups: int, mean_rows: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        generator = torch.Generator(device="cuda").manual_seed(seed)
        sizes = [rng.poisson(mean_rows, n_groups) for _ in range(2)]
        self.starts = [np.concatenate(([0], np.cumsum(size))) for size in sizes]
        self.packed = [_random_bits(int(size.sum()), generator) for size in sizes]
        self._share_children()
        self.counts = [popcount(side) for side in self.packed]
        self.need = [
            torch.floor(THRESHOLD / 2 * count.double() - 1e-9).int() for count in self.counts
        ]

    def _share_children(self) -> None:
        """A third of the right side are children of the left, with a few bits changed."""
        for group in range(len(self.starts[0]) - 1):
            left, right = (int(starts[group]) for starts in self.starts)
            n = min(int(np.diff(starts[group : group + 2])[0]) for starts in self.starts) // 3
            copied = self.packed[0][left : left + n].clone()
            copied[:, ::9] ^= 1 << (group % 31)
            self.packed[1][right : right + n] = copied

    @property
    def n_pairs(self) -> int:
        """Pairs to compare."""
        sizes = [np.diff(starts) for starts in self.starts]
        return int((sizes[0] * sizes[1]).sum())

    def tiles(self, rows: int, columns: int) -> torch.Tensor:
        """Corners of blocks inside groups, ``(m, 4) int32``: rows from, to, columns from, to."""
        found = []
        for g in range(len(self.starts[0]) - 1):
            (a, a_end), (b, b_end) = (starts[g : g + 2].tolist() for starts in self.starts)
            found += [
                (i, a_end, j, b_end)
                for j in range(b, b_end, columns)
                for i in range(a, a_end, rows)
            ]
        return torch.tensor(found, dtype=torch.int32, device="cuda")

    def exactly(self, hits: torch.Tensor) -> torch.Tensor:
        """Of pairs that passed the rounded test, those that meet the rule; keys, ascending."""
        left, right, common = (hits[:, column].long() for column in range(3))
        both = (self.counts[0][left] + self.counts[1][right]).double()
        meets = 2.0 * common.double() / both >= THRESHOLD
        return torch.sort((left << 32 | right)[meets]).values


def _random_bits(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(
        -(2**31), 2**31, (n, WORDS), dtype=torch.int32, device="cuda", generator=generator
    )


def popcount(packed: torch.Tensor) -> torch.Tensor:
    """Bits set in each row."""
    total = torch.zeros(len(packed), dtype=torch.int32, device=packed.device)
    for bit in range(32):
        total += ((packed >> bit) & 1).sum(dim=1, dtype=torch.int32)
    return total


def spread(packed: torch.Tensor) -> torch.Tensor:
    """One byte a bit, ``(n, FILTER_BITS) int8``."""
    found = torch.empty((len(packed), FILTER_BITS), dtype=torch.int8, device=packed.device)
    for start in range(0, len(packed), 1 << 18):
        part = packed[start : start + (1 << 18)]
        bits = (part[:, :, None] >> torch.arange(32, device=part.device, dtype=torch.int32)) & 1
        found[start : start + (1 << 18)] = bits.to(torch.int8).reshape(len(part), -1)
    return found


def plainly(registers: Registers) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The pairs by NumPy: keys, ascending."""
    left, right = (side.cpu().numpy().view(np.uint32) for side in registers.packed)
    keys = []
    for g in range(len(registers.starts[0]) - 1):
        (a, a_end), (b, b_end) = (starts[g : g + 2].tolist() for starts in registers.starts)
        rows, columns = left[a:a_end], right[b:b_end]
        common = np.zeros((len(rows), len(columns)), dtype=np.int64)
        for word in range(WORDS):
            common += np.bitwise_count(rows[:, word, None] & columns[None, :, word])
        both = np.bitwise_count(rows).sum(1, dtype=np.int64)[:, None]
        both = both + np.bitwise_count(columns).sum(1, dtype=np.int64)[None, :]
        i, j = np.nonzero(2.0 * common / both >= THRESHOLD)
        keys.append((i + a) << 32 | (j + b))
    return np.sort(np.concatenate(keys))


# --- a product of matrices of bytes -----------------------------------------------------------


@triton.jit
def near_int8(
    left,
    right,
    left_need,
    right_need,
    tiles,
    hits,
    n_hits,
    most_hits,
    filter_bits: tl.constexpr,
    n_rows: tl.constexpr,
    n_columns: tl.constexpr,
    step: tl.constexpr,
):
    """Pairs of one block of a group that have enough bits in common."""
    tile = tiles + tl.program_id(0) * 4
    row, row_end = tl.load(tile), tl.load(tile + 1)
    column, column_end = tl.load(tile + 2), tl.load(tile + 3)
    i = row + tl.arange(0, n_rows)
    j = column + tl.arange(0, n_columns)
    bits = tl.arange(0, step)
    # Behind a group's end the last row is read again, and left out below.
    a = left + tl.minimum(i, row_end - 1).to(tl.int64)[:, None] * filter_bits + bits[None, :]
    b = right + tl.minimum(j, column_end - 1).to(tl.int64)[None, :] * filter_bits + bits[:, None]
    common = tl.zeros((n_rows, n_columns), dtype=tl.int32)
    for _ in range(0, filter_bits, step):
        common = tl.dot(tl.load(a), tl.load(b), common, out_dtype=tl.int32)
        a += step
        b += step
    need = tl.load(left_need + i, mask=i < row_end, other=1 << 20)[:, None]
    need += tl.load(right_need + j, mask=j < column_end, other=1 << 20)[None, :]
    passed = common >= need
    if tl.max(tl.max(passed.to(tl.int32), axis=1), axis=0) > 0:
        place = tl.atomic_add(n_hits + tl.zeros_like(common), 1, mask=passed)
        fits = passed & (place < most_hits)
        at = hits + place.to(tl.int64) * 3
        tl.store(at, tl.broadcast_to(i[:, None], (n_rows, n_columns)), mask=fits)
        tl.store(at + 1, tl.broadcast_to(j[None, :], (n_rows, n_columns)), mask=fits)
        tl.store(at + 2, common, mask=fits)


INT8_SHAPES = (
    (128, 256, 128, 8, 3),
    (128, 256, 64, 8, 4),
    (256, 128, 128, 8, 3),
    (128, 128, 128, 8, 4),
    (128, 128, 128, 4, 4),
)
"""Rows, columns and bits of a block; warps; stages of the pipeline."""


class Int8:
    """The first way, with one shape of block."""

    def __init__(self, registers: Registers, sides: list[torch.Tensor], shape: Any) -> None:
        self._registers, self._sides = registers, sides
        self._rows, self._columns, self._step, self._warps, self._stages = shape
        self._tiles = registers.tiles(self._rows, self._columns)
        self.hits, self.n_hits = new_hits(registers)

    def __call__(self) -> None:
        """Compare everything once."""
        self.n_hits.zero_()
        near_int8[(len(self._tiles),)](
            *self._sides,
            *self._registers.need,
            self._tiles,
            self.hits,
            self.n_hits,
            len(self.hits),
            filter_bits=FILTER_BITS,
            n_rows=self._rows,
            n_columns=self._columns,
            step=self._step,
            num_warps=self._warps,
            num_stages=self._stages,
        )


def new_hits(registers: Registers) -> tuple[torch.Tensor, torch.Tensor]:
    """Room for pairs that pass, and their number."""
    room = 4 * len(registers.packed[0]) + 4096
    hits = torch.full((room, 3), -1, dtype=torch.int32, device="cuda")
    return hits, torch.zeros(1, dtype=torch.int32, device="cuda")


# --- and+count of packed bits in the tensor cores ---------------------------------------------

BITS_SOURCE = r"""
extern "C" __global__ __launch_bounds__(256) void near_bits(
    const unsigned* __restrict__ left, const unsigned* __restrict__ right,
    const int* __restrict__ left_need, const int* __restrict__ right_need,
    const int* __restrict__ tiles, int* hits, int* n_hits, int most_hits)
{
    // 128 x 128 pairs a block of 8 warps; 64 x 32 a warp, as 4 x 4 products of 16 x 8.
    constexpr int WORDS = 40, STRIDE = 44;  // padded so that no two lanes meet in a bank
    __shared__ unsigned a[128 * STRIDE], b[128 * STRIDE];
    __shared__ int a_need[128], b_need[128];
    const int* tile = tiles + 4 * blockIdx.x;
    const int row = tile[0], row_end = tile[1], column = tile[2], column_end = tile[3];
    for (int at = threadIdx.x; at < 128 * (WORDS / 4); at += 256) {
        const int i = at / (WORDS / 4), word = at % (WORDS / 4) * 4;
        const int r = min(row + i, row_end - 1), c = min(column + i, column_end - 1);
        *(uint4*)(a + i * STRIDE + word) = *(const uint4*)(left + (long long)r * WORDS + word);
        *(uint4*)(b + i * STRIDE + word) = *(const uint4*)(right + (long long)c * WORDS + word);
    }
    if (threadIdx.x < 128) {
        const int i = threadIdx.x;
        a_need[i] = row + i < row_end ? left_need[row + i] : 1 << 20;
        b_need[i] = column + i < column_end ? right_need[column + i] : 1 << 20;
    }
    __syncthreads();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int group = lane / 4, quarter = lane % 4;
    const int first_row = warp / 4 * 64, first_column = warp % 4 * 32;
    int sums[4][4][4] = {};
    #pragma unroll
    for (int step = 0; step < WORDS; step += 8) {
        unsigned x[4][4], y[4][2];
        #pragma unroll
        for (int m = 0; m < 4; m++) {
            const unsigned* from = a + (first_row + 16 * m + group) * STRIDE + step + quarter;
            x[m][0] = from[0];
            x[m][1] = from[8 * STRIDE];
            x[m][2] = from[4];
            x[m][3] = from[8 * STRIDE + 4];
        }
        #pragma unroll
        for (int n = 0; n < 4; n++) {
            const unsigned* from = b + (first_column + 8 * n + group) * STRIDE + step + quarter;
            y[n][0] = from[0];
            y[n][1] = from[4];
        }
        #pragma unroll
        for (int m = 0; m < 4; m++)
            #pragma unroll
            for (int n = 0; n < 4; n++)
                asm volatile(
                    "mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc "
                    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                    : "+r"(sums[m][n][0]), "+r"(sums[m][n][1]), "+r"(sums[m][n][2]),
                      "+r"(sums[m][n][3])
                    : "r"(x[m][0]), "r"(x[m][1]), "r"(x[m][2]), "r"(x[m][3]),
                      "r"(y[n][0]), "r"(y[n][1]));
    }
    #pragma unroll
    for (int m = 0; m < 4; m++)
        #pragma unroll
        for (int n = 0; n < 4; n++)
            #pragma unroll
            for (int k = 0; k < 4; k++) {
                const int i = first_row + 16 * m + group + 8 * (k / 2);
                const int j = first_column + 8 * n + 2 * quarter + k % 2;
                if (sums[m][n][k] >= a_need[i] + b_need[j]) {
                    const int place = atomicAdd(n_hits, 1);
                    if (place < most_hits) {
                        hits[3 * (long long)place] = row + i;
                        hits[3 * (long long)place + 1] = column + j;
                        hits[3 * (long long)place + 2] = sums[m][n][k];
                    }
                }
            }
}
"""


class Bits:
    """The second way."""

    def __init__(self, registers: Registers) -> None:
        import cupy

        self._kernel = cupy.RawKernel(BITS_SOURCE, "near_bits", options=("--std=c++17",))
        self._tiles = registers.tiles(128, 128)
        self.hits, self.n_hits = new_hits(registers)
        on_device = [
            *registers.packed, *registers.need, self._tiles, self.hits, self.n_hits,
        ]  # fmt: skip
        self._arguments = (*(cupy.asarray(each) for each in on_device), np.int32(len(self.hits)))
        self._stream = cupy.cuda.Stream.from_external(torch.cuda.current_stream())

    def __call__(self) -> None:
        """Compare everything once."""
        self.n_hits.zero_()
        with self._stream:
            self._kernel((len(self._tiles),), (256,), self._arguments)


# --- checking and timing ----------------------------------------------------------------------


def found_by(way: Any, registers: Registers) -> torch.Tensor:
    """Run once from poisoned memory; keys of the pairs, ascending."""
    way.hits.fill_(-1)
    way()
    torch.cuda.synchronize()
    n_hits = int(way.n_hits.item())
    if n_hits > len(way.hits):
        raise AssertionError(f"{n_hits} pairs passed, more than there is room for")
    hits = way.hits[:n_hits]
    if bool((hits < 0).any()):
        raise AssertionError("a pair was counted and not written")
    return registers.exactly(hits)


def verify(make: Callable[[Registers], Any]) -> int:
    """Hold a way to NumPy on small groups of odd sizes; the number of pairs found."""
    n_found = 0
    for mean_rows, seed in ((40, 1), (300, 2), (1, 3)):
        registers = Registers(12, mean_rows, seed)
        expected = plainly(registers)
        found = found_by(make(registers), registers).cpu().numpy()
        np.testing.assert_array_equal(found, expected)
        n_found += len(expected)
    if not n_found:
        raise AssertionError("nothing was checked")
    return n_found


def timed(way: Callable[[], object]) -> list[float]:
    """Seconds on the device, for each repetition."""
    for _ in range(3):
        way()
    seconds = []
    for _ in range(N_REPETITIONS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        way()
        end.record()
        end.synchronize()
        seconds.append(start.elapsed_time(end) / 1e3)
    return seconds


def rate(n_pairs: int, seconds: list[float]) -> dict[str, float]:
    """Pairs a second: median, least and most."""
    rates = [n_pairs / each for each in seconds]
    return {"median": statistics.median(rates), "low": min(rates), "high": max(rates)}


def ceiling_int8(n: int = 8192) -> float:
    """What a plain product of matrices of bytes does here, operations a second (cuBLAS)."""
    a, b = (torch.randint(0, 2, (n, n), dtype=torch.int8, device="cuda") for _ in range(2))
    product = torch.empty((n, n), dtype=torch.int32, device="cuda")
    seconds = timed(lambda: torch._int_mm(a, b.t(), out=product))
    return 2 * n**3 / statistics.median(seconds)


def main() -> int:
    """Check, measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small registers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "versions": {"torch": torch.__version__, "triton": triton.__version__},
        "filter_bits": FILTER_BITS,
        "threshold": THRESHOLD,
    }
    print(report["device"], report["versions"], flush=True)
    report["int8_operations_per_s"] = ceiling_int8()
    print(f"int8 matrix product of the library: {report['int8_operations_per_s']:.3g} operations/s")
    shape = INT8_SHAPES[0]
    checked = verify(lambda small: Int8(small, [spread(side) for side in small.packed], shape))
    print(f"int8: the {checked:,} pairs that NumPy finds", flush=True)

    registers = Registers(200 if arguments.quick else 3000, GROUP_ROWS, 7)
    n_pairs = report["n_pairs"] = registers.n_pairs
    report["n_records"] = [len(side) for side in registers.packed]
    print(f"{report['n_records']} records, {n_pairs:,} pairs")
    sides = [spread(side) for side in registers.packed]
    spreading = timed(lambda: [spread(side[:200_000]) for side in registers.packed])
    report["records_spread_per_s"] = 400_000 / statistics.median(spreading)
    results: dict[str, torch.Tensor] = {}
    for shape in INT8_SHAPES:
        name = "int8 " + "x".join(map(str, shape))
        try:
            way = Int8(registers, sides, shape)
            results[name] = found_by(way, registers)
            report[name] = rate(n_pairs, timed(way))
        except Exception as error:  # a shape that does not fit this device
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}")
            continue
        print(f"{name:24} {report[name]['median']:.3g} pairs/s", flush=True)
    try:
        checked = verify(Bits)
        print(f"bits: the {checked:,} pairs that NumPy finds", flush=True)
        way_of_bits = Bits(registers)
        results["bits"] = found_by(way_of_bits, registers)
        report["bits"] = rate(n_pairs, timed(way_of_bits))
        print(f"{'bits':24} {report['bits']['median']:.3g} pairs/s", flush=True)
    except Exception as error:
        print(f"bits: {type(error).__name__}: {str(error)[:500]}")
    first = next(iter(results.values()))
    for name, keys in results.items():
        if not torch.equal(keys, first):
            raise AssertionError(f"{name} found other pairs than the first way")
    report["pairs_found"] = len(first)
    print(f"All found the same {len(first):,} pairs.")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
