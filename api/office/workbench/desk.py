"""What the pages work with: folder, register, jobs, and the connection if there is one."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import current_app

from api.office.workbench.folder import OfficeFolder
from api.office.workbench.jobs import Jobs
from api.office.workbench.register import Register
from api.office.workbench.round_work import RoundWork
from linkage.profile import Profile

if TYPE_CHECKING:
    from api.client.http import ServerClient


@dataclass(slots=True)
class Desk:
    """One workbench.

    Attributes:
        rounds: ``None`` where no server and keys were given: then files can be prepared only.
    """

    folder: OfficeFolder
    register: Register
    rounds: RoundWork | None
    jobs: Jobs = field(default_factory=Jobs)


def make_desk(folder: OfficeFolder, profile: Profile, client: "ServerClient | None") -> Desk:
    """Make the folder and what works in it.  Raises: OSError."""
    folder.prepare()
    register = Register(folder, profile)
    rounds = None if client is None else RoundWork(client, folder, register)
    return Desk(folder, register, rounds)


def desk() -> Desk:
    """The desk of the application that answers now."""
    found: Desk = current_app.extensions["workbench"]
    return found
