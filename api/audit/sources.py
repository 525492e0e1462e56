"""Other places to fetch a log from: static tiles, and archives before what a server still has."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from api.audit.archive import VerifiedArchive, read_archive_entries, verify_archive, verify_sequence
from api.audit.directory import KEY
from api.audit.errors import FetchError, NoteError, ProofError
from api.audit.evidence import parse_key_file
from api.audit.merkle import TILE_WIDTH
from api.audit.note import VerifierKey, parse_checkpoint, parse_note
from api.audit.tiles import TileDirectory

if TYPE_CHECKING:
    from api.audit.fetch import LogSource


class TilesLog:
    """A log as static files, as ``tongqiao server export-log`` writes them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tiles = TileDirectory(directory)

    def log_key(self) -> VerifierKey:
        """The key that lies beside the tiles.  Raises: FetchError: there is none."""
        try:
            return parse_key_file((self._directory / KEY).read_bytes())
        except (FileNotFoundError, NoteError) as error:
            raise FetchError(
                "There is no key (log.vkey) beside the tiles. Export the log again."
            ) from error

    def checkpoint(self) -> bytes:
        """The checkpoint that lies beside the tiles.  Raises: FetchError: there is none."""
        try:
            return (self._directory / "checkpoint").read_bytes()
        except FileNotFoundError as error:
            raise FetchError("This folder holds no tiles of a log: no checkpoint.") from error

    def cosigned(self, after: int) -> list[bytes]:
        """Static files hold no cosignatures."""
        return []

    def entries(self, start: int, limit: int) -> list[str]:
        """Entries out of the bundle that holds ``start``.  Raises: FetchError: it is missing."""
        try:
            size = parse_checkpoint(parse_note(self.checkpoint()).text).size
            number, skipped = divmod(start, TILE_WIDTH)
            width = min(TILE_WIDTH, size - number * TILE_WIDTH)
            lines = self._tiles.read_entries(number, width)
        except (ProofError, NoteError) as error:
            raise FetchError(
                f"The tiles do not hold entry {start}: {error}. If it is sealed, name its archive "
                "with --archive."
            ) from error
        return [line.decode("ascii", "replace") for line in lines[skipped : skipped + limit]]


class ArchivedLog:
    """A log whose first entries come from archives, and the rest from where it is kept.

    Args:
        rest: where the rest comes from, and the checkpoint.
        archives: files, in any order, without a gap from the first entry on.
        key: the log's key, which the archives must bear.

    Raises:
        ArchiveError: an archive does not verify, or one is missing.
        NoteError: one is of another log.
        OSError: one cannot be read.
    """

    def __init__(self, rest: "LogSource", archives: Sequence[Path], key: VerifierKey) -> None:
        self._rest = rest
        verified = sorted(
            ((verify_archive(path, key), path) for path in archives), key=lambda one: one[0].start
        )
        verify_sequence([one for one, _ in verified])
        self._archives: list[tuple[VerifiedArchive, Path]] = verified
        self._stop = verified[-1][0].stop if verified else 0
        self._reading: Iterator[bytes] = iter(())
        self._at = -1

    def log_key(self) -> VerifierKey:
        """As the rest says."""
        return self._rest.log_key()

    def checkpoint(self) -> bytes:
        """As the rest says."""
        return self._rest.checkpoint()

    def cosigned(self, after: int) -> list[bytes]:
        """As the rest says."""
        return self._rest.cosigned(after)

    def entries(self, start: int, limit: int) -> list[str]:
        """Entries, in order: reading on is quick, going back begins anew."""
        if start >= self._stop:
            return self._rest.entries(start, limit)
        if start != self._at:
            self._reading, self._at = self._from(start), start
        page = []
        for line in self._reading:
            page.append(line.decode("ascii"))
            self._at += 1
            if len(page) == limit:
                break
        return page

    def _from(self, start: int) -> Iterator[bytes]:
        for archive, path in self._archives:
            if archive.stop <= start:
                continue
            for index, line in enumerate(read_archive_entries(path), archive.start):
                if index >= start:
                    yield line
