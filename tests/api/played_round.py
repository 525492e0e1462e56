"""A round as a server would tell of it, in any state, and the files of those who take part."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.client.terms import terms_sha256
from keys.identity import PrivateIdentity, new_identity
from keys.linkage_secret import LinkageSecret, save_linkage_secret
from keys.storage import save_identity
from linkage.encoding.encode import encode_records
from linkage.profile import Profile, load_profile
from linkage.tqe import write_tqe
from linkage.types import RecordBatch
from tests.api.terms_example import example_terms

ROUND = "2026-h2"
OFFICE = "jinjiang-civil"
COORDINATOR = "province-coordination"
PROFILE: Profile = load_profile("febrl4")
SECRET = LinkageSecret(bytes(range(32)))


@dataclass(frozen=True)
class Holder:
    """Someone with keys, and the private key file."""

    identity: PrivateIdentity
    keys: Path


def make_holder(folder: Path, holder: str, kind: Any = "office") -> Holder:
    """Make keys below ``folder``."""
    identity = new_identity(holder, kind)
    private, _ = save_identity(identity, folder / holder)
    return Holder(identity, private)


def save_secret(folder: Path) -> Path:
    """The linkage secret as a file of the coordinating office."""
    path = folder / "linkage.secret"
    save_linkage_secret(SECRET, path)
    return path


def played_terms(**changes: Any) -> dict[str, Any]:
    """Terms that bind ``PROFILE``."""
    profile = {"name": PROFILE.name, "sha256": PROFILE.sha256}
    return example_terms(**{"profile": profile, "cleaning": PROFILE.cleaning, **changes})


def played_summary(**changes: Any) -> dict[str, Any]:
    """A round in the answer of ``GET /v1/rounds``."""
    return {
        "id": ROUND,
        "project": "sichuan-children",
        "state": "open",
        "created_at": "2026-09-01T01:00:00.000Z",
        "coordinating_office": COORDINATOR,
        "key_confirmed": True,
        "own": None,
        **changes,
    }


def played_round(
    *,
    state: str = "open",
    signed: tuple[str, ...] = (),
    uploaded: tuple[str, ...] = (),
    key_confirmed: bool = True,
    terms: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The answer of ``GET /v1/rounds/{id}``."""
    document = played_terms() if terms is None else terms
    return {
        "id": ROUND,
        "project": document["project"],
        "state": state,
        "terms": document,
        "terms_sha256": terms_sha256(document),
        "key_confirmed": key_confirmed,
        "members": [
            {
                "office": member["office"],
                "role": member["role"],
                "signed": member["office"] in signed,
                "uploaded": member["office"] in uploaded,
                "n_records": 3 if member["office"] in uploaded else None,
            }
            for member in document["members"]
        ],
        "progress": {"stage": None, "done": 0, "total": 0},
        "history": [],
        "failure": None,
        **changes,
    }


def write_encoded(
    path: Path, *, context: str = "sichuan-children/2026-h2", profile: Profile = PROFILE
) -> Path:
    """An encoded file of three invented records."""
    birth_dates = ("2015-03-07", "2016-11-30", "2014-01-01")
    columns = {field.name: (None, None, None) for field in profile.fields}
    batch = RecordBatch(1, ("r1", "r2", "r3"), {**columns, "birth_date": birth_dates})
    encoded = encode_records(
        [batch],
        profile,
        SECRET.round_key(context),
        name=path.stem,
        context=context,
        key_confirmation=SECRET.key_confirmation(context),
        encoder_version="test",
    )
    write_tqe(path, encoded.dataset)
    return path
