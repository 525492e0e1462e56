"""An exchange file as it should be: every kind of view, some records without them."""

import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from linkage.tqe import write_tqe
from linkage.types import EncodedDataset, EncodedView, Evidence, GroupLayout, Manifest, ViewLayout

LAYOUT = (
    ViewLayout("number", True, (GroupLayout("name", 128), GroupLayout("birth", 64)), ("number",)),
    ViewLayout("open", False, (GroupLayout("name", 192, "person"),)),
    ViewLayout("phone", True, ()),
)


def example_manifest(n_records: int, **changes: Any) -> Manifest:
    manifest = Manifest(
        profile_name="cn-child-v1",
        profile_sha256="ab" * 32,
        cleaning_version="cn-2",
        encoder_version="0.1.0",
        context="sichuan-children/2026-h2",
        key_confirmation="cd" * 16,
        created_at="2026-01-01T00:00:00Z",
        n_records=n_records,
        diffusion=5,
        views=LAYOUT,
        statistics={
            "fill": {"number/name": 0.25, "number/birth": 0, "open/name": 0.125},
            "missing": {"number": 0, "open": 0, "phone": 0},
            "problems": {"id-wrong-length": 3},
        },
        evidence=Evidence(household=("phone",), twins=("number",)),
    )
    return replace(manifest, **changes)


def example_dataset(n: int = 21, seed: int = 1) -> EncodedDataset:
    """Random filters; each third record lacks the first view, each fifth one of its groups."""
    draw = np.random.default_rng(seed)
    numbers = np.arange(n)
    views = []
    for number, layout in enumerate(LAYOUT):
        present = numbers % 3 != number
        tags = np.where(present, draw.integers(1, 2**64, size=n, dtype=np.uint64), np.uint64(0))
        filters, filter_present = {}, {}
        for group in layout.groups:
            has = present & (numbers % 5 != 0)
            words = draw.integers(0, 2**64, size=(n, group.filter_bits // 64), dtype=np.uint64)
            filters[group.name] = np.where(has[:, None], words, np.uint64(0))
            filter_present[group.name] = has
        views.append(
            EncodedView(layout, tags if layout.tagged else None, present, filters, filter_present)
        )
    pseudonyms = np.sort(draw.integers(0, 256, size=n, dtype=np.uint8))[:, None]
    tail = np.stack([numbers >> 8, numbers & 255], axis=1).astype(np.uint8)
    rows = np.concatenate([pseudonyms, tail, np.zeros((n, 13), np.uint8)], axis=1)
    return EncodedDataset("example", rows, example_manifest(n), tuple(views))


def same(one: EncodedDataset, other: EncodedDataset) -> bool:
    return (
        replace(one.manifest, content_sha256="") == replace(other.manifest, content_sha256="")
        and np.array_equal(one.pseudonyms, other.pseudonyms)
        and all(map(same_view, one.views, other.views))
    )


def same_view(one: EncodedView, other: EncodedView) -> bool:
    return (
        one.layout == other.layout
        and np.array_equal(one.present, other.present)
        and ((one.tags is None) == (other.tags is None))
        and (one.tags is None or other.tags is None or np.array_equal(one.tags, other.tags))
        and all(
            np.array_equal(one.filters[group], other.filters[group])
            and np.array_equal(one.filter_present[group], other.filter_present[group])
            for group in other.filters
        )
    )


@functools.cache
def example_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_tqe(Path(folder) / "x.tqe", example_dataset())
        return (Path(folder) / "x.tqe").read_bytes()
