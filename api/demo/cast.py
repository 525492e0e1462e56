"""Who plays: five offices, the coordinating office, two operators and an auditor."""

from dataclasses import dataclass
from pathlib import Path

PROJECT = "sichuan-children"
ROUND = "2026-h2"
PROFILE = "cn-child-v1"
COORDINATOR = "province-coordination"
OPERATORS = ("operator-chen", "operator-luo")
AUDITOR = "auditor-he"

ROLE_OF_OFFICE = {
    "jinjiang-civil": "residence-civil-affairs",
    "zhongjiang-civil": "origin-civil-affairs",
    "chengdu-education": "education",
    "chengdu-police": "public-security",
    "chengdu-health": "health",
}
"""Office id -> role in the project.  The ids are those of the generated registers."""

PLACE_OF_OFFICE = {
    "jinjiang-civil": ("510104", "residence"),
    "zhongjiang-civil": ("510623", "origin"),
}
"""Office id -> its county and side; the others cover many counties."""

NAME_OF_OFFICE = {
    "jinjiang-civil": "锦江区民政局（示例）",
    "zhongjiang-civil": "中江县民政局（示例）",
    "chengdu-education": "成都市教育局（示例）",
    "chengdu-police": "成都市公安局（示例）",
    "chengdu-health": "成都市卫生健康委员会（示例）",
}


@dataclass(frozen=True, slots=True)
class OfficeDesk:
    """The files of one office, all below its own folder.

    Attributes:
        office: the office's id.
        folder: ``DIR/offices/ID``.
        register: the file that the office really has.
    """

    office: str
    folder: Path
    register: Path

    @property
    def keys(self) -> Path:
        """The office's private identity."""
        return self.folder / "keys" / f"{self.office}.private.json"

    @property
    def public(self) -> Path:
        """The office's public identity."""
        return self.folder / "keys" / f"{self.office}.public.json"

    @property
    def columns(self) -> Path:
        """The column mapping that ``inspect`` proposed."""
        return self.folder / "columns.toml"

    @property
    def sealed_secret(self) -> Path:
        """The linkage secret as the server relayed it."""
        return self.folder / "secret.sealed"

    @property
    def secret(self) -> Path:
        """The linkage secret, readable by the office only."""
        return self.folder / "keys" / "linkage.secret"

    @property
    def terms(self) -> Path:
        """The terms that the office read before it signed."""
        return self.folder / "terms.json"

    @property
    def encoded(self) -> Path:
        """What is uploaded."""
        return self.folder / f"{self.office}.tqe"

    @property
    def pseudonym_map(self) -> Path:
        """What never leaves the office."""
        return self.folder / f"{self.office}.map.csv"

    @property
    def links(self) -> Path:
        """The office's directed results."""
        return self.folder / "links.csv"

    @property
    def joined(self) -> Path:
        """The office's own list, joined with its links."""
        return self.folder / "joined.xlsx"
