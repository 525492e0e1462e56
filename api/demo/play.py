"""The round, scene by scene; each scene is one row of the table of times."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from api.demo.cast import (
    AUDITOR,
    COORDINATOR,
    NAME_OF_OFFICE,
    OPERATORS,
    PLACE_OF_OFFICE,
    PROFILE,
    PROJECT,
    ROLE_OF_OFFICE,
    ROUND,
    OfficeDesk,
)
from api.demo.processes import Stage
from keys.storage import load_public_identity
from linkage.quality.synthetic import Registers, generate, write_registers

_COORDINATOR_NAME = "四川省儿童数据协调办公室（示例）"
_PURPOSE = "查找流动儿童和留守儿童，使每个孩子都能得到服务（演示）"
_RETENTION_DAYS = 180


@dataclass(slots=True)
class Play:
    """One round below ``root``, and everything that the scenes share."""

    root: Path
    stage: Stage
    desks: Sequence[OfficeDesk] = ()
    registers: Registers | None = None
    server_url: str = ""
    review: str = ""
    log_verdict: str = ""
    log_is_good: bool = False

    @property
    def server_folder(self) -> Path:
        """Everything that the linkage server holds."""
        return self.root / "server"

    @property
    def auditor_folder(self) -> Path:
        """Everything that the auditor holds."""
        return self.root / "auditor"

    @property
    def coordinator_folder(self) -> Path:
        """Everything that the coordinating office holds."""
        return self.root / "coordinator"

    def _person(self, holder: str) -> Path:
        folder = self.auditor_folder if holder == AUDITOR else self.root / "operators" / holder
        return folder / "keys" / f"{holder}.private.json"

    def _coordinator_keys(self) -> Path:
        return self.coordinator_folder / "keys" / f"{COORDINATOR}.private.json"

    def _coordinator_secret(self) -> Path:
        return self.coordinator_folder / "keys" / "linkage.secret"

    def _as_operator(self, number: int, *command: str | Path) -> str:
        keys = self._person(OPERATORS[number])
        return self.stage.run(*command, "--server", self.server_url, "--keys", keys)

    def _as_office(self, desk: OfficeDesk, *command: str | Path) -> str:
        return self.stage.run(*command, "--server", self.server_url, "--keys", desk.keys)

    def _as_coordinator(self, *command: str | Path) -> str:
        keys = self._coordinator_keys()
        return self.stage.run(*command, "--server", self.server_url, "--keys", keys)

    def invent_registers(self, n_children: int, seed: int) -> None:
        """Five registers of invented children, in the formats that offices really have."""

        def write() -> None:
            self.registers = generate(n_children, seed)
            files = write_registers(self.registers, self.root / "registers")
            desks = []
            for file in files:
                folder = self.root / "offices" / file.office_id
                folder.mkdir(parents=True)
                register = file.path.rename(folder / file.path.name)
                desks.append(OfficeDesk(file.office_id, folder, register))
            self.desks = tuple(desks)

        self.stage.step("invent registers", [write], n_commands=0)

    def make_keys(self) -> None:
        """Every office and person makes its own key pairs, on its own machine."""
        calls: list[Callable[[], object]] = [
            partial(
                self.stage.run,
                "keys",
                "new",
                "--office",
                desk.office,
                "--name",
                NAME_OF_OFFICE[desk.office],
                "--out",
                desk.keys.parent,
            )
            for desk in self.desks
        ]
        calls.append(
            partial(
                self.stage.run,
                "keys",
                "new",
                "--office",
                COORDINATOR,
                "--name",
                _COORDINATOR_NAME,
                "--out",
                self._coordinator_keys().parent,
            )
        )
        for holder in (*OPERATORS, AUDITOR):
            kind = "--auditor" if holder == AUDITOR else "--operator"
            calls.append(
                partial(
                    self.stage.run,
                    "keys",
                    "new",
                    kind,
                    holder,
                    "--out",
                    self._person(holder).parent,
                )
            )
        self.stage.step("make keys", calls)

    def start_server(self) -> None:
        """A server process and a worker process; the first operators and auditor are known."""

        def start() -> None:
            people: list[str | Path] = []
            for holder in (*OPERATORS, AUDITOR):
                option = "--auditor" if holder == AUDITOR else "--operator"
                people += [option, _public(self._person(holder))]
            self.stage.run("server", "init", self.server_folder, *people)
            port_file = self.root / "server.port"
            server = self.stage.start(
                "server",
                "server",
                "run",
                self.server_folder,
                "--port",
                "0",
                "--port-file",
                port_file,
            )
            port = self.stage.wait_for_file(port_file, server, "server")
            self.server_url = f"http://127.0.0.1:{port}"
            self.stage.start("worker", "worker", "run", self.server_folder)

        self.stage.step("start server and worker", [start], n_commands=3)

    def enrol(self) -> None:
        """Offices enrol; an operator approves each fingerprint, as read out by telephone."""
        keys = [self._coordinator_keys(), *(desk.keys for desk in self.desks)]

        def enrol(key: Path) -> None:
            self.stage.run("office", "enrol", "--server", self.server_url, "--keys", key)
            member = load_public_identity(_public(key))
            self._as_operator(
                0, "member", "approve", member.holder, "--fingerprint", member.fingerprint
            )

        self.stage.step(
            "enrol and approve", [partial(enrol, key) for key in keys], n_commands=2 * len(keys)
        )

    def share_secret(self) -> None:
        """The coordinating office makes the secret and seals it to each; the server relays."""
        project = self.root / "operators" / OPERATORS[0] / "project.toml"
        project.write_text(_project_toml(), encoding="utf-8")
        secret, keys = self._coordinator_secret(), self._coordinator_keys()
        self.stage.step(
            "create project and secret",
            [
                partial(self._as_operator, 0, "project", "create", project),
                partial(self.stage.run, "secret", "new", "--out", secret),
            ],
        )

        def share(desk: OfficeDesk) -> None:
            blob = self.coordinator_folder / f"{desk.office}.sealed"
            self.stage.run(
                "secret",
                "seal",
                "--secret-file",
                secret,
                "--keys",
                keys,
                "--to",
                desk.public,
                "--project",
                PROJECT,
                "--out",
                blob,
            )
            self._as_coordinator(
                "office", "send-secret", "--project", PROJECT, "--to", desk.office, blob
            )
            self._as_office(
                desk, "office", "fetch-secret", "--project", PROJECT, "--out", desk.sealed_secret
            )
            self.stage.run(
                "secret",
                "open",
                desk.sealed_secret,
                "--keys",
                desk.keys,
                "--from",
                _public(keys),
                "--project",
                PROJECT,
                "--out",
                desk.secret,
            )

        self.stage.step(
            "seal, relay, open the secret",
            [partial(share, desk) for desk in self.desks],
            n_commands=4 * len(self.desks),
            files=(),
        )

    def open_round(self) -> None:
        """An operator writes the terms; every office reads and signs them."""
        terms = self.root / "operators" / OPERATORS[0] / "terms.toml"
        terms.write_text(_terms_toml(), encoding="utf-8")

        def create() -> None:
            self._as_operator(0, "round", "create", terms)
            self._as_operator(0, "round", "open", ROUND)

        self.stage.step("create and open the round", [create], n_commands=2)

        def sign_as_coordinator() -> None:
            read = self.coordinator_folder / "terms.json"
            self._as_coordinator("office", "terms", "--round", ROUND, "--out", read)
            self._as_coordinator(
                "office",
                "sign",
                "--round",
                ROUND,
                "--terms",
                read,
                "--secret-file",
                self._coordinator_secret(),
            )

        def sign(desk: OfficeDesk) -> None:
            self._as_office(desk, "office", "terms", "--round", ROUND, "--out", desk.terms)
            self._as_office(desk, "office", "sign", "--round", ROUND, "--terms", desk.terms)

        calls: list[Callable[[], object]] = [
            sign_as_coordinator,
            *(partial(sign, desk) for desk in self.desks),
        ]
        self.stage.step("read and sign the terms", calls, n_commands=2 * len(calls))

    def encode(self) -> None:
        """Each office looks at its file, takes the proposed mapping, and encodes."""
        self.stage.step(
            "inspect the registers",
            [
                partial(self.stage.run, "inspect", desk.register, "--out", desk.columns)
                for desk in self.desks
            ],
            files=[desk.register for desk in self.desks],
        )
        self.stage.step(
            "encode",
            [
                partial(
                    self.stage.run,
                    "encode",
                    desk.register,
                    "--columns",
                    desk.columns,
                    "--profile",
                    PROFILE,
                    "--secret-file",
                    desk.secret,
                    "--terms",
                    desk.terms,
                    "--out",
                    desk.encoded,
                    "--map",
                    desk.pseudonym_map,
                )
                for desk in self.desks
            ],
        )
        self.stage.step(
            "upload",
            [
                partial(self._as_office, desk, "office", "upload", "--round", ROUND, desk.encoded)
                for desk in self.desks
            ],
            files=[desk.encoded for desk in self.desks],
        )

    def match(self) -> None:
        """The round is frozen, matched by the worker, reviewed, and released by a second person."""
        self.stage.step("freeze", [partial(self._as_operator, 0, "round", "freeze", ROUND)])
        self.stage.step("match", [partial(self._as_operator, 0, "round", "run", ROUND, "--wait")])

        def release() -> None:
            self.review = self._as_operator(1, "round", "review", ROUND)
            self._as_operator(1, "round", "release", ROUND)

        self.stage.step("review and release", [release], n_commands=2)

    def deliver(self) -> None:
        """Each office fetches its directed results and joins them to its own rows, locally."""
        self.stage.step(
            "fetch results",
            [
                partial(
                    self._as_office,
                    desk,
                    "office",
                    "results",
                    "--round",
                    ROUND,
                    "--out",
                    desk.links,
                )
                for desk in self.desks
            ],
        )
        self.stage.step(
            "join with own records",
            [
                partial(
                    self.stage.run,
                    "office",
                    "join",
                    "--links",
                    desk.links,
                    "--map",
                    desk.pseudonym_map,
                    "--records",
                    desk.register,
                    "--columns",
                    desk.columns,
                    "--out",
                    desk.joined,
                )
                for desk in self.desks
            ],
        )

    def audit(self) -> None:
        """The auditor fetches the log and verifies it offline."""

        def verify() -> None:
            log = self.auditor_folder / "log"
            self.stage.run(
                "audit",
                "fetch",
                "--server",
                self.server_url,
                "--keys",
                self._person(AUDITOR),
                "--dir",
                log,
            )
            verdict = json.loads(self.stage.run("audit", "verify", log, "--json"))
            self.log_is_good = verdict["intact"] is True and not verdict["findings"]
            self.log_verdict = self.stage.run("audit", "verify", log).splitlines()[0]

        self.stage.step("fetch and verify the log", [verify], n_commands=3)


def _public(private_keys: Path) -> Path:
    return private_keys.with_name(private_keys.name.replace(".private.", ".public."))


def _project_toml() -> str:
    lines = [
        f'id = "{PROJECT}"',
        'name = "四川省流动儿童和留守儿童关爱保护（演示）"',
        f'purpose = "{_PURPOSE}"',
        f'coordinating_office = "{COORDINATOR}"',
    ]
    for office, role in ROLE_OF_OFFICE.items():
        lines += ["", "[[members]]", f'office = "{office}"', f'role = "{role}"']
        if office in PLACE_OF_OFFICE:
            division, side = PLACE_OF_OFFICE[office]
            lines += [f'division = "{division}"', f'side = "{side}"']
    return "\n".join(lines) + "\n"


def _terms_toml() -> str:
    lines = [
        f'project = "{PROJECT}"',
        f'round = "{ROUND}"',
        f'purpose = "{_PURPOSE}"',
        f'coordinating_office = "{COORDINATOR}"',
        f'profile = "{PROFILE}"',
        f"retention_days = {_RETENTION_DAYS}",
    ]
    for office, role in ROLE_OF_OFFICE.items():
        lines += ["", "[[members]]", f'office = "{office}"', f'role = "{role}"']
    return "\n".join(lines) + "\n"
