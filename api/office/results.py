"""Directed results: an office's own links, page by page, into ``links.csv``."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from api.client.errors import ApiError
from api.client.http import ServerClient
from api.client.private_files import replacing_privately
from api.client.terms import Terms
from api.office.links import LINK_COLUMNS, Band, Link

_PAGE_LINKS = 5000
_LINK = re.compile(r"[0-9A-Za-z_-]{1,64}")
_RECORD = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """How many links were written, in all and with each counterpart office.

    Attributes:
        n_withdrawn: links with offices that have left the round; in neither of the others.
        acknowledged: whether the server was told that all of them are here.
    """

    n_links: int
    by_counterpart: Mapping[str, int]
    n_withdrawn: int = 0
    acknowledged: bool = False


def write_links(
    client: ServerClient,
    round_id: str,
    office: str,
    terms: Terms,
    path: Path,
    *,
    overwrite: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> LinkCounts:
    """Fetch all links of ``office`` into a new CSV file that its owner alone may read.

    Once all links are here, the server gets a receipt with their hash.  Where it has others by
    then, as an office left between two pages, they are no list of any moment, and are not kept.

    Args:
        on_progress: called with the number of links so far.

    Raises:
        ApiError: the server refused, or has other links than it sent, or its answer does not fit
            the terms; then nothing remains of the file.
        OSError: it cannot be written; then nothing remains of it.
    """
    counterparts = {member.office for member in terms.counterparts_of(office)}
    counts: Counter[str] = Counter()
    path_of_results = f"/v1/rounds/{round_id}/results/{office}"
    digest, n_rows = hashlib.sha256(), 0
    with replacing_privately(path, overwrite=overwrite) as draft:
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(LINK_COLUMNS)
            for link in _fetch(client, path_of_results):
                if link.counterpart not in counterparts:
                    raise _unfit("names an office that you see no links with by the terms")
                row = [link.link, link.record, link.counterpart, f"{link.score:.2f}", link.band]
                writer.writerow(row)
                digest.update(f"{','.join(row)}\n".encode())
                n_rows += 1
                counts["" if link.band == "withdrawn" else link.counterpart] += 1
                if n_rows % _PAGE_LINKS == 0:
                    on_progress(n_rows)
        on_progress(n_rows)
        acknowledged = _acknowledge(client, path_of_results, digest.hexdigest(), n_rows)
    n_withdrawn = counts.pop("", 0)
    return LinkCounts(n_rows - n_withdrawn, dict(counts), n_withdrawn, acknowledged)


def _acknowledge(client: ServerClient, path: str, links_sha256: str, n_links: int) -> bool:
    """Tell the server that all links are here; whether it agrees.

    Raises:
        ApiError: the server has other links than it sent.
    """
    try:
        client.put_json(f"{path}/receipt", {"links_sha256": links_sha256, "n_links": n_links})
    except ApiError as error:
        if error.slug == "conflict":
            raise
        # The links are here; that the server does not know it yet, harms nobody.
        return False
    return True


def _fetch(client: ServerClient, path: str) -> Iterator[Link]:
    after: str | None = None
    last = ""
    while True:
        page = client.get_json(path, after=after, limit=_PAGE_LINKS)
        links = page.get("links")
        if not isinstance(links, list):
            raise _unfit("has no list of links")
        for entry in links:
            link = _parse_link(entry)
            # Ascending without repeats, so a page can neither be lost nor come twice.
            if link.link <= last:
                raise _unfit("is not sorted")
            last = link.link
            yield link
        following = page.get("next")
        if following is None:
            return
        if not links or following != last:
            raise _unfit("does not say where it goes on")
        after = last


def _parse_link(entry: Any) -> Link:
    if not isinstance(entry, dict):
        raise _unfit("holds a link that is none")
    link, record, counterpart = (entry.get(key) for key in ("link", "record", "counterpart"))
    score, band = entry.get("score"), entry.get("band")
    if not (
        isinstance(link, str)
        and _LINK.fullmatch(link)
        and isinstance(record, str)
        and _RECORD.fullmatch(record)
        and isinstance(counterpart, str)
        and isinstance(score, int | float)
        and not isinstance(score, bool)
        and 0 <= score <= 1
        and band in get_args(Band)
    ):
        raise _unfit("holds a link that is none")
    return Link(link, record, counterpart, float(score), cast(Band, band))


def _unfit(what: str) -> ApiError:
    return ApiError(
        "bad-answer",
        200,
        f"The server's list of links {what}. Nothing was written. Update the program, or tell "
        "the operator.",
    )
