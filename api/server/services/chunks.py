"""Finished chunks of rounds that are being matched, so that the next worker goes on from them.

They hold row numbers and distances of pairs, no encodings, and live as long as the matching: what a
cancelled round or a crash left behind is swept.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from api.audit.events import Action
from api.server.models import Round
from api.server.round_states import State

if TYPE_CHECKING:
    from api.server.services.installation import Installation
    from api.server.services.work import Caller


class ChunkFolders:
    """One folder a round, below the server's own.

    Args:
        directory: for the server's account only; made when first needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def folder(self, round_id: str) -> Path:
        """Where a round's chunks are."""
        return self._directory / round_id

    def delete(self, round_id: str) -> None:
        """Delete a round's chunks."""
        shutil.rmtree(self.folder(round_id), ignore_errors=True)

    def round_ids(self) -> list[str]:
        """Rounds that have a folder."""
        return sorted(path.name for path in self._directory.glob("*") if path.is_dir())


def sweep_chunks(installation: "Installation", caller: "Caller") -> int:
    """Delete chunks of rounds that are not being matched, with an entry for each round.

    Returns:
        Number of rounds.
    """
    found = installation.chunks.round_ids()
    if not found:
        return 0
    with installation.database.reading() as session:
        rounds = {row.id: row for row in session.scalars(select(Round))}
        left_over = [
            round_id
            for round_id in found
            if round_id not in rounds or rounds[round_id].state != State.MATCHING
        ]
        projects = {name: entry.project_id for name, entry in rounds.items()}
    for round_id in left_over:
        with installation.work(caller) as work:
            is_round = round_id in projects
            work.record(
                Action.DATA_SWEEP,
                project=projects.get(round_id),
                round_id=round_id if is_round else None,
                details={"n_files": 1},
            )
        installation.chunks.delete(round_id)
    return len(left_over)
