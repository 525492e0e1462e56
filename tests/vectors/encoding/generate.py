"""Writes the vectors of this folder; README.md says how to run it."""

import json
import random
from pathlib import Path
from typing import Any

from linkage.profile import parse_profile
from linkage.tqe import write_tqe
from tests.linkage.encoding.records import (
    EVERY_KIND,
    HASHED_AS,
    NAMES,
    ROUND_KEY,
    SIGNS,
    SIGNS_RECORDS,
    Record,
    batch_of,
    encode,
    invented_record,
)
from tests.linkage.encoding.reference import ReferenceEncoder

FOLDER = Path(__file__).parent
PROFILES = {
    "every-kind": EVERY_KIND,
    "undiffused": EVERY_KIND.replace("diffusion = 3", "diffusion = 0"),
    "national": EVERY_KIND,
    "hashed-as": HASHED_AS,
    "signs": SIGNS,
}
KEYED_HASHES = {"national": "hmac-sm3"}
"""Of what is not hashed as usual."""


def records_of(name: str) -> list[Record]:
    """The records of a file; all but ``signs`` have the same."""
    if name == "signs":
        return list(SIGNS_RECORDS)
    draw = random.Random(20_260_101)
    return [{**invented_record(draw), "name": name} for name in NAMES]


def vectors(name: str) -> dict[str, Any]:
    """Records and what they become, from the reference implementation alone."""
    profile_text = PROFILES[name]
    profile = parse_profile(profile_text)
    records = records_of(name)
    keyed_hash = KEYED_HASHES.get(name)
    reference = ReferenceEncoder(profile, ROUND_KEY, keyed_hash or "blake2b")
    return {
        **({} if keyed_hash is None else {"keyed_hash": keyed_hash}),
        "profile": profile_text,
        "profile_sha256": profile.sha256,
        "round_key": ROUND_KEY.hex(),
        "records": records,
        "views": [
            {
                view_name: {
                    "present": view.present,
                    "tag": f"{view.tag:016x}",
                    "filters": {group: bits.hex() for group, bits in view.filters.items()},
                }
                for view_name, view in reference.encode(record).items()
            }
            for record in records
        ],
    }


def main() -> None:
    """Write all files."""
    for name in PROFILES:
        body = json.dumps(vectors(name), ensure_ascii=False, indent=1) + "\n"
        (FOLDER / f"{name}.json").write_text(body, encoding="utf-8")
    profile = parse_profile(EVERY_KIND)
    document = json.loads((FOLDER / "every-kind.json").read_text(encoding="utf-8"))
    encoded = encode([batch_of(document["records"], profile)], profile)
    write_tqe(FOLDER / "every-kind.tqe", encoded.dataset)
    (FOLDER / "every-kind.tqe").chmod(0o644)


if __name__ == "__main__":
    main()
