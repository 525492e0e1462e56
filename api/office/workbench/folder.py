"""Where the workbench keeps what it works on: one private folder, plain files in it.

::

    FOLDER/
      register/            the file being prepared
        source.xlsx|csv      a copy of what was dropped
        about.json           its own name, its size, when it came
        columns.toml         the mapping
        problems.sqlite      what is wrong with it, values masked
      rounds/ROUND/
        terms.json profile.toml
        source.xlsx|csv columns.toml   the file that was encoded, needed for the list
        encoded.tqe encoded.map.csv    what is sent, and what never is
        receipt.json links.csv list.xlsx
        unsent/              the same files of a list that is encoded and not sent yet
      linkage.secret       the project's secret, once it was opened

The commands of ``tongqiao office`` read and write the same files.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.client.private_files import write_privately


@dataclass(frozen=True, slots=True)
class OfficeFolder:
    """The paths below one folder; every folder is readable by its owner only.

    Attributes:
        secret_file: where the linkage secret is kept, if not in the folder.
    """

    root: Path
    secret_file: Path | None = None

    def prepare(self) -> None:
        """Make the folder.  Raises: OSError."""
        for folder in (self.root, self.root / "register", self.root / "rounds"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.name == "posix":
                folder.chmod(0o700)

    @property
    def register(self) -> Path:
        """Folder of the file being prepared."""
        return self.root / "register"

    @property
    def secret(self) -> Path:
        """File of the linkage secret."""
        return self.secret_file or self.root / "linkage.secret"

    def round(self, round_id: str) -> Path:
        """Folder of a round; made if it is missing."""
        folder = self.root / "rounds" / round_id
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def find_source(folder: Path) -> Path | None:
    """The copy of the office's file in a folder, if there is one."""
    found = sorted(folder.glob("source.*"))
    return found[0] if found else None


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object of our own; empty if it is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a small JSON object, readable by its owner only."""
    write_privately(path, json.dumps(value, ensure_ascii=False).encode(), overwrite=True)


def copy_privately(source: Path, target: Path) -> None:
    """Copy a file of the office; a hard link where the file system has them.

    The copy never changes: what was dropped is only ever replaced as a whole.
    """
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        target.chmod(0o600)
