"""The fast join and the plain one give the same pairs and log odds to the byte."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkage.matching import reference
from linkage.matching.chunk_store import ChunkStore
from linkage.matching.engines.local import LocalEngine
from linkage.matching.join import (
    JoinTask,
    KeptPairs,
    all_of,
    join_views,
    merge_runs,
    rules_of,
    runs_of_similar,
)
from linkage.matching.numbering import NumberedRecords, number_through
from linkage.matching.score import EvidenceModel
from linkage.matching.similar_pairs import find_similar_pairs
from linkage.matching.tagged_join import plan_join
from tests.contract.matching_inputs import LAYOUTS, UNTAGGED, invent_datasets


def quietly(_done: int, _looked_at: int, _kept: int) -> None:
    """Tell nobody."""


def invent_model(seed: int, n_features: int) -> EvidenceModel:
    rng = np.random.default_rng(seed)
    log_likelihood = np.log(rng.dirichlet(np.ones(7), (4, n_features)))
    log_likelihood[:, :, 0] = 0.0
    return EvidenceModel(np.log(rng.dirichlet(np.ones(4))), log_likelihood, 2)


def fast(
    records: NumberedRecords,
    model: EvidenceModel,
    folder: Path,
    *,
    floor: float,
    across_only: bool,
    bucket_bytes: int = 1 << 30,
    pairs_of_a_chunk: int = 1 << 30,
    pairs_of_a_range: int = 1 << 20,
) -> KeptPairs:
    engine, store = LocalEngine(2), ChunkStore(folder)
    similar = find_similar_pairs(records, across_only=across_only)
    chunks = plan_join(records, bucket_bytes=bucket_bytes, pairs_of_a_chunk=pairs_of_a_chunk)
    task = JoinTask(lambda: records, rules_of(records, model, floor), across_only)
    runs = [
        *join_views(task, chunks, engine, store, quietly),
        *runs_of_similar(records, similar),
    ]
    return merge_runs(
        records, runs, model, floor, engine, store, quietly, pairs_of_a_range=pairs_of_a_range
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    floor=st.sampled_from([-1000.0, -6.0, -1.0, 0.0, 2.0]),
    across_only=st.booleans(),
    bucket_bytes=st.sampled_from([2000, 6000, 1 << 30]),
    pairs_of_a_chunk=st.sampled_from([50, 1 << 30]),
    pairs_of_a_range=st.sampled_from([20, 1 << 20]),
    skew=st.sampled_from([0.0, 0.5, 1.0]),
    tagged=st.booleans(),
    sizes=st.sampled_from([(40, 30, 20), (1, 1), (90, 70), (0, 20)]),
)
def test_fast_equals_plain_whatever_the_chunking(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    floor: float,
    across_only: bool,
    bucket_bytes: int,
    pairs_of_a_chunk: int,
    pairs_of_a_range: int,
    skew: float,
    tagged: bool,
    sizes: tuple[int, ...],
) -> None:
    layouts = LAYOUTS if tagged else UNTAGGED
    records = number_through(invent_datasets(seed, sizes, layouts=layouts, skew=skew))
    similar = find_similar_pairs(records, across_only=across_only)
    model = invent_model(seed, 6 if tagged else 5)
    plain = reference.scored_pairs(records, similar, model, floor, across_only=across_only)
    found = fast(
        records,
        model,
        tmp_path_factory.mktemp("chunks"),
        floor=floor,
        across_only=across_only,
        bucket_bytes=bucket_bytes,
        pairs_of_a_chunk=pairs_of_a_chunk,
        pairs_of_a_range=pairs_of_a_range,
    )
    assert all_of(found.parts).tobytes() == plain.tobytes()
    pairs = reference.candidate_pairs(records, similar, across_only=across_only)
    assert found.n_candidates == len(pairs)
    across = records.dataset_of(pairs.left) != records.dataset_of(pairs.right)
    assert found.n_across == int(across.sum())


@pytest.mark.parametrize("across_only", [False, True])
def test_one_tag_that_everybody_has_is_joined_in_parts(tmp_path: Path, across_only: bool) -> None:
    records = number_through(invent_datasets(5, (600, 500), skew=1.0))
    similar = find_similar_pairs(records, across_only=across_only)
    model = invent_model(5, 6)
    plain = reference.scored_pairs(records, similar, model, 1.0, across_only=across_only)
    found = fast(
        records, model, tmp_path, floor=1.0, across_only=across_only, pairs_of_a_chunk=40_000
    )
    assert all_of(found.parts).tobytes() == plain.tobytes()
    assert 0 < len(plain) < found.n_candidates
