"""Encoded datasets with everything that a join can stumble over, drawn from a seed."""

import numpy as np

from linkage.types import (
    EncodedDataset,
    EncodedView,
    Evidence,
    GroupLayout,
    Manifest,
    ViewLayout,
)

LAYOUTS = (
    ViewLayout(
        "identity",
        True,
        (GroupLayout("name", 128), GroupLayout("birth", 128), GroupLayout("sound", 64, "name")),
        implies=("identity",),
        refutes=("identity",),
    ),
    ViewLayout(
        "birth",
        True,
        (
            GroupLayout("hukou", 128, "place"),
            GroupLayout("name", 128),
            GroupLayout("phone", 64),
            GroupLayout("place", 64),
        ),
        implies=("birth",),
        refutes=("birth",),
    ),
    ViewLayout("name", True, (GroupLayout("birth", 128), GroupLayout("place", 64))),
    ViewLayout("phone", True, (), implies=("phone",), refutes=("phone",)),
)
"""Views with many filters and none; features implied, refuted, both and neither; features that
two filters speak of, side by side in a view or not, or in one view only."""

UNTAGGED = (
    LAYOUTS[0],
    ViewLayout("all", False, (GroupLayout("name", 128), GroupLayout("place", 64))),
)


def invent_datasets(
    seed: int,
    sizes: tuple[int, ...] = (40, 30, 20),
    *,
    layouts: tuple[ViewLayout, ...] = LAYOUTS,
    n_children: int = 30,
    skew: float = 0.5,
    rarity: tuple[str, ...] = (),
) -> list[EncodedDataset]:
    """Datasets whose records are noisy copies of some children.

    Args:
        seed: the same seed gives the same datasets.
        sizes: records of each dataset.
        layouts: of the views.
        n_children: how many there are to draw from.
        skew: share of records whose tag is the one that everybody may have.
        rarity: views whose equal tags are weighed by their rarity.
    """
    rng = np.random.default_rng(seed)
    words = {
        (v, group.name): rng.integers(0, 2**64, (n_children, group.filter_bits // 64), np.uint64)
        for v, layout in enumerate(layouts)
        for group in layout.groups
    }
    tags = [rng.integers(2**20, 2**64, n_children, np.uint64) for _ in layouts]
    evidence = Evidence(household=("phone", "place"), twins=("birth",), rarity=rarity)
    return [
        _dataset(rng, f"office-{d}", size, layouts, words, tags, skew, evidence)
        for d, size in enumerate(sizes)
    ]


def _dataset(
    rng: np.random.Generator,
    name: str,
    n: int,
    layouts: tuple[ViewLayout, ...],
    words: dict[tuple[int, str], np.ndarray],
    tags: list[np.ndarray],
    skew: float,
    evidence: Evidence,
) -> EncodedDataset:
    child = rng.integers(0, len(tags[0]), n)
    views = []
    for v, layout in enumerate(layouts):
        present = rng.random(n) < 0.8
        own = tags[v][child]
        own[rng.random(n) < 0.1] = rng.integers(2**20, 2**63)
        if v == 1:
            own[rng.random(n) < skew] = tags[v][0]
        filters, filter_present = {}, {}
        for group in layout.groups:
            noise = rng.integers(0, 2**64, (n, group.filter_bits // 64), np.uint64)
            for _ in range(3):
                noise &= rng.integers(0, 2**64, noise.shape, np.uint64)
            noise[rng.random(n) < 0.5] = 0
            mask = present & (rng.random(n) < 0.8)
            rows = words[v, group.name][child] ^ noise
            rows[~mask] = 0
            filters[group.name], filter_present[group.name] = rows, mask
        own[~present] = 0
        views.append(
            EncodedView(layout, own if layout.tagged else None, present, filters, filter_present)
        )
    pseudonyms = rng.integers(0, 256, (n, 16)).astype(np.uint8)
    order = np.lexsort(pseudonyms.T[::-1])
    return EncodedDataset(
        name=name,
        pseudonyms=pseudonyms[order],
        manifest=Manifest(
            profile_name="invented",
            profile_sha256="0" * 64,
            cleaning_version="none-1",
            encoder_version="0",
            context="offline",
            key_confirmation="0" * 32,
            created_at="2026-08-01T00:00:00Z",
            n_records=n,
            diffusion=0,
            views=layouts,
            statistics={"fill": {}, "missing": {}, "problems": {}},
            evidence=evidence,
        ),
        views=tuple(views),
    )
