"""Searching pages of the log gives what a plain look through all entries gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.audit import stored_search
from api.audit.events import Entry, format_time, parse_entry, subject_of
from api.audit.stored_search import LogQuery, index_at, search_all, search_page
from tests.api.audit.simulated_log import START, TABLES, SimulatedLog

N = 300
LOG = SimulatedLog(N)
ENTRIES = [parse_entry(line) for line in LOG.lines()]
TIMES = [None, "2026-01-01T00:00:00.000Z", format_time(START), ENTRIES[77].time, "2027"]

queries = st.builds(
    LogQuery,
    since=st.sampled_from(TIMES),
    until=st.sampled_from(TIMES),
    actor=st.sampled_from([None, "jinjiang-civil", "nobody"]),
    office=st.sampled_from([None, "xuyong-civil", "nobody"]),
    round=st.sampled_from([None, "2026-h2", "other"]),
    action=st.sampled_from([None, "upload:put", "terms:sign", "log:seal"]),
    outcome=st.sampled_from([None, "granted", "refused", "failed"]),
)


@pytest.fixture(params=[N, 40], ids=["one stretch", "many stretches"], autouse=True)
def stretch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_search, "_FIRST_STRETCH", request.param)
    monkeypatch.setattr(stored_search, "_GROWTH", 1)
    monkeypatch.setattr(stored_search, "_LAST_STRETCH_BEGINS_S", 0.0 if request.param < N else 9.0)


def fits(entry: Entry, query: LogQuery) -> bool:
    """The plain reference."""
    return (
        (query.since is None or entry.time >= query.since)
        and (query.until is None or entry.time < query.until)
        and query.actor in (None, entry.actor)
        and query.office in (None, entry.actor, subject_of(entry.details))
        and query.round in (None, entry.round)
        and query.action in (None, entry.action)
        and query.outcome in (None, entry.outcome)
    )


@given(queries)
@settings(max_examples=150)
def test_page_after_page_gives_every_entry_that_fits_once(query: LogQuery) -> None:
    expected = [entry.index for entry in ENTRIES if fits(entry, query)]
    with Session(LOG.engine) as session:
        assert [index for index, _ in search_all(session, TABLES, query, N)] == expected
        found: list[int] = []
        below: int | None = None
        for _ in range(N):
            page = search_page(session, TABLES, query, below=below, limit=7)
            found += [parse_entry(body.encode()).index for body in page.bodies]
            if page.older is None:
                break
            assert below is None or page.older < below
            below = page.older
        assert found == expected[::-1]


@given(queries, st.integers(0, N))
@settings(max_examples=150)
def test_going_back_to_newer_pages_gives_the_nearest(query: LogQuery, above: int) -> None:
    newer = [entry.index for entry in ENTRIES if fits(entry, query) and entry.index > above]
    with Session(LOG.engine) as session:
        page = search_page(session, TABLES, query, above=above, limit=7)
    found = [parse_entry(body.encode()).index for body in page.bodies]
    assert found == newer[: len(found)][::-1]
    assert page.unfinished or found == newer[:7][::-1]
    if page.newer is None:
        assert len(newer) <= 7


def test_a_period_is_a_range_of_indexes() -> None:
    with Session(LOG.engine) as session:
        assert index_at(session, TABLES, "", N) == 0
        assert index_at(session, TABLES, ENTRIES[100].time, N) == 100
        assert index_at(session, TABLES, "9", N) == N


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (LogQuery(actor="xuyong-civil"), "ix_log_entries_actor"),
        (LogQuery(action="terms:sign"), "ix_log_entries_action"),
        (LogQuery(outcome="refused"), "ix_log_entries_outcome"),
        (LogQuery(round="2026-h2"), "ix_log_entries_round"),
        (LogQuery(office="xuyong-civil"), "ix_log_entries_subject"),
    ],
)
def test_one_condition_is_answered_by_its_index_in_order(query: LogQuery, index: str) -> None:
    statements: list[str] = []
    with Session(LOG.engine) as session:
        search = stored_search._Search(session, TABLES, query)
        about = () if query.office is None else (TABLES.entries.c.subject == query.office,)
        statement = search._ordered(0, N, 50, *about, upwards=False)
        compiled = statement.compile(LOG.engine, compile_kwargs={"literal_binds": True})
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()
        statements += [row.detail for row in plan]
    assert any(index in line for line in statements), statements
    assert not any("TEMP B-TREE" in line for line in statements), statements
