"""The fast join and the plain one give the same pairs and log odds to the byte."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkage.errors import MatchingError
from linkage.matching import reference
from linkage.matching.chunk_store import ChunkStore
from linkage.matching.compare import N_LEVELS
from linkage.matching.engines.local import LocalEngine
from linkage.matching.join import (
    JoinStoppedError,
    JoinTask,
    JoinWatch,
    KeptPairs,
    TellJoin,
    all_of,
    heaviest_first,
    join_views,
    merge_runs,
    rules_of,
    runs_of_similar,
)
from linkage.matching.numbering import NumberedRecords, number_through
from linkage.matching.score import EvidenceModel
from linkage.matching.similar_pairs import find_similar_pairs
from linkage.matching.tagged_join import PAIRS_OF_A_CALL, JoinChunk, plan_join
from tests.contract.matching_inputs import LAYOUTS, UNTAGGED, invent_datasets


def quietly(*_told: int) -> None:
    """Tell nobody."""


def invent_model(seed: int, n_features: int) -> EvidenceModel:
    rng = np.random.default_rng(seed)
    log_likelihood = np.log(rng.dirichlet(np.ones(N_LEVELS), (4, n_features)))
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
    pairs_of_a_call: int = PAIRS_OF_A_CALL,
    tell: TellJoin = quietly,
) -> KeptPairs:
    engine, store = LocalEngine(2), ChunkStore(folder)
    similar = find_similar_pairs(records, across_only=across_only)
    chunks = plan_join(
        records,
        across_only=across_only,
        bucket_bytes=bucket_bytes,
        pairs_of_a_chunk=pairs_of_a_chunk,
    )
    task = JoinTask(
        lambda: records,
        rules_of(records, model, floor),
        across_only,
        JoinWatch(),
        pairs_of_a_call,
    )
    runs = [
        *join_views(task, chunks, engine, store, tell),
        *runs_of_similar(records, similar),
    ]
    return merge_runs(
        records, runs, model, floor, engine, store, quietly, pairs_of_a_range=pairs_of_a_range
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    floor=st.sampled_from([-1000.0, -6.0, -1.0, 0.0, 2.0]),
    across_only=st.booleans(),
    bucket_bytes=st.sampled_from([2000, 6000, 1 << 30]),
    pairs_of_a_chunk=st.sampled_from([50, 1 << 30]),
    pairs_of_a_range=st.sampled_from([20, 1 << 20]),
    pairs_of_a_call=st.sampled_from([1, 70, PAIRS_OF_A_CALL]),
    skew=st.sampled_from([0.0, 0.5, 1.0]),
    tagged=st.booleans(),
    sizes=st.sampled_from([(40, 30, 20), (1, 1), (90, 70), (0, 20)]),
    rarity=st.sampled_from([(), ("identity",), ("birth", "phone")]),
)
def test_fast_equals_plain_whatever_the_chunking(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    floor: float,
    across_only: bool,
    bucket_bytes: int,
    pairs_of_a_chunk: int,
    pairs_of_a_range: int,
    pairs_of_a_call: int,
    skew: float,
    tagged: bool,
    sizes: tuple[int, ...],
    rarity: tuple[str, ...],
) -> None:
    layouts = LAYOUTS if tagged else UNTAGGED
    records = number_through(
        invent_datasets(seed, sizes, layouts=layouts, skew=skew, rarity=rarity)
    )
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
        pairs_of_a_call=pairs_of_a_call,
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


@pytest.mark.parametrize("across_only", [False, True])
def test_what_is_told_of_the_join_is_what_was_planned_and_what_was_done(
    tmp_path: Path, across_only: bool
) -> None:
    records = number_through(invent_datasets(9, (300, 200, 100), skew=0.5))
    told: list[tuple[int, int, int]] = []

    def join() -> KeptPairs:
        return fast(
            records,
            model,
            tmp_path,
            floor=1.0,
            across_only=across_only,
            bucket_bytes=30_000,
            tell=lambda *now: told.append(now),
        )

    chunks = plan_join(records, across_only=across_only, bucket_bytes=30_000)
    total = sum(chunk.n_pairs for chunk in chunks)
    model = invent_model(5, 6)
    kept = join()
    assert told[0] == (0, 0, 0)
    assert told == sorted(told)
    assert told[-1][0] == total == kept.n_compared
    assert len(told) == len(chunks) + 1

    # Again with half of the chunks there: they are done, but not by this run.
    for chunk in chunks[::2]:
        (tmp_path / f"{chunk.name}.json").unlink()
    told.clear()
    join()
    n_pairs, n_resumed, _ = told[0]
    assert 0 < n_pairs == n_resumed < total
    assert told[-1][:2] == (total, n_resumed)


def test_chunks_under_way_are_told_of_and_end_when_nobody_wants_them(tmp_path: Path) -> None:
    records = number_through(invent_datasets(5, (600, 500), skew=1.0))
    (chunk,) = (c for c in plan_join(records, across_only=False) if c.view == 0)
    rules = rules_of(records, invent_model(5, 6), 1.0)
    seen: list[tuple[int, int]] = []

    class Watching(JoinWatch):
        def note(self, chunk: JoinChunk, n_compared: int, n_kept: int) -> None:
            super().note(chunk, n_compared, n_kept)
            seen.append(self.under_way())
            if len(seen) == 3:
                self.stop()

    task = JoinTask(lambda: records, rules, False, Watching(), pairs_of_a_call=1000)
    with pytest.raises(JoinStoppedError):
        task(chunk)
    compared = [n_compared for n_compared, _ in seen]
    assert compared == sorted(compared)
    assert 1000 <= compared[0] < 1100
    assert compared[-1] < chunk.n_pairs


def test_files_whose_records_are_all_alike_are_refused_before_memory_ends(tmp_path: Path) -> None:
    records = number_through(invent_datasets(5, (1800, 1700), n_children=1, skew=1.0))
    with pytest.raises(MatchingError, match=r"'office-0' has \d+ records") as refused:
        fast(records, invent_model(5, 6), tmp_path, floor=-1000.0, across_only=True)
    assert "anew" in str(refused.value)


def test_the_heaviest_view_comes_first_and_views_stay_together() -> None:
    records = number_through(invent_datasets(9, (300, 200, 100), skew=0.5))
    chunks = plan_join(records, across_only=False, bucket_bytes=30_000)
    ordered = heaviest_first(chunks)
    assert sorted(ordered) == sorted(chunks)
    views = [chunk.view for chunk in ordered]
    assert views == sorted(views, key=views.index)
    totals = [sum(c.n_pairs for c in chunks if c.view == v) for v in dict.fromkeys(views)]
    assert totals == sorted(totals, reverse=True)
