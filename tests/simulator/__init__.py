"""A whole linkage server in one process, and the people who use it: a tutorial by example.

The server is the real one: the real application over a real database and real files, asked
through Flask's test client with real signatures.  Only time is simulated, so that 180 days pass at
once.  People are small objects whose methods read like sentences::

    with simulated_server(tmp_path) as server:
        chen, luo = server.operator("chen"), server.operator("luo")
        he = server.auditor("he")

        # Offices enrol; an operator approves each after comparing the fingerprint by voice.
        jinjiang = server.office("jinjiang-civil")
        granted(jinjiang.enrols())
        granted(chen.approves(jinjiang))

        # Or all of that at once, up to a round that is open and signed by everybody:
        round_ = server.open_round()

        # Encoded files go up, one an office.  What is refused leaves everything as it was.
        granted(round_.offices[0].uploads(ROUND, file))
        refused(round_.offices[1].uploads(ROUND, tampered), "bad-upload")

        # The round goes its way; the worker is called, not waited for.
        granted(chen.takes_step(ROUND, "freeze"))
        granted(chen.takes_step(ROUND, "run"))
        server.worker().work_once()
        refused(chen.takes_step(ROUND, "release"), "second-person")
        granted(luo.takes_step(ROUND, "release"))
        links = round_.offices[0].reads_results(ROUND)["links"]

:func:`granted` and :func:`refused` look at more than the status: that the answer has the form of
``docs/http-api.md``, that the access log has an entry about this very request, and, of a refusal,
that no row and no file has changed.
"""

from tests.simulator.answers import Answer, granted, refused
from tests.simulator.browser import Browser, Person
from tests.simulator.clock import SimulatedClock
from tests.simulator.installations import simulated_server
from tests.simulator.office import Office
from tests.simulator.operators import Auditor, Operator
from tests.simulator.party import BASE_URL, Party
from tests.simulator.scenes import OpenRound, encoded_files
from tests.simulator.server import SimulatedServer

__all__ = [
    "BASE_URL",
    "Answer",
    "Auditor",
    "Browser",
    "Office",
    "OpenRound",
    "Operator",
    "Party",
    "Person",
    "SimulatedClock",
    "SimulatedServer",
    "encoded_files",
    "granted",
    "refused",
    "simulated_server",
]
