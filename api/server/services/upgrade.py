"""What an update of the program has to do beside the database's schema."""

from pathlib import Path

from sqlalchemy import select

from api.audit.events import Action
from api.server.models import Round, Upload
from api.server.services.data_keys import data_key_of, encoding_context, make_data_key
from api.server.services.encodings import FileStorage
from api.server.services.incoming import encrypt_file
from api.server.services.installation import Installation
from api.server.services.steps import suite_of
from api.server.services.work import Caller
from keys.at_rest import is_encrypted


def encrypt_stored(installation: Installation, caller: Caller) -> int:
    """Encrypt encodings that an earlier version of the program stored in the clear.

    Doing it again, after a crash in the middle as well, does what is left to do.

    Returns:
        Number of files encrypted.
    """
    storage = installation.encodings
    if not isinstance(storage, FileStorage):
        # Object storage came later: nothing was ever in the clear there.
        return 0
    with installation.database.reading() as session:
        rows = session.execute(select(Upload.round_id, Upload.office_id, Upload.sha256)).all()
    n_files = 0
    for round_id, office, sha256 in rows:
        path = storage.path(round_id, sha256)
        if not _is_clear(path):
            continue
        with installation.work(caller) as work:
            entry = work.session.get_one(Round, round_id)
            make_data_key(installation, work, entry)
            suite, project = suite_of(entry), entry.project_id
        draft = installation.incoming.new_path()
        encrypt_file(
            path,
            draft,
            suite=suite,
            data_key=data_key_of(installation, round_id),
            context=encoding_context(round_id, sha256),
        )
        storage.bring(draft, round_id, sha256)
        storage.place(draft, round_id, sha256)
        with installation.work(caller) as work:
            work.record(
                Action.DATA_ENCRYPT,
                project=project,
                round_id=round_id,
                details={"office": office, "sha256": sha256},
            )
        n_files += 1
    return n_files


def _is_clear(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not is_encrypted(file.read(8))
    except FileNotFoundError:
        return False
