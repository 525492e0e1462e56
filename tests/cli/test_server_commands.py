"""`tongqiao server` and `tongqiao worker`, as who runs the machine types them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.audit.note import VerifierKey
from api.cli import cli
from api.server.config import load_config
from api.server.services.installation import open_installation
from keys.storage import write_public_file
from tests import factories
from tests.simulator import SimulatedClock, SimulatedServer

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """The server's commands narrow the umask of their process, which here is the tests' own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def run() -> Run:
    return lambda *arguments: CliRunner().invoke(cli, [str(word) for word in arguments])


@pytest.fixture
def people(tmp_path: Path) -> dict[str, Path]:
    files = {}
    for holder, kind in (("chen", "operator"), ("he", "auditor"), ("jinjiang-civil", "office")):
        path = tmp_path / f"{holder}.public.json"
        write_public_file(path, factories.identity(holder, kind).public.to_json())  # type: ignore[arg-type]
        files[holder] = path
    return files


@pytest.fixture
def directory(tmp_path: Path, run: Run) -> Path:
    assert run("server", "init", tmp_path / "server").exit_code == 0
    return tmp_path / "server"


def seen(directory: Path) -> Any:
    installation = open_installation(load_config(directory))
    return SimulatedServer(directory, SimulatedClock(), installation, None)  # type: ignore[arg-type]


def test_init_adds_people_and_tells_the_logs_key(
    tmp_path: Path, run: Run, people: dict[str, Path]
) -> None:
    done = run(
        "server", "init", tmp_path / "srv", "--name", "Sichuan", "--operator", people["chen"],
        "--auditor", people["he"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    fingerprint = factories.identity("chen", "operator").public.fingerprint
    assert fingerprint in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if "access log" in line)
    inside = seen(tmp_path / "srv")
    assert VerifierKey.parse(line.split(": ")[1]) == inside.installation.log_key.verifier_key
    assert inside.installation.config.name == "Sichuan"
    assert [(row["id"], row["state"]) for row in inside.rows("members")] == [
        ("chen", "approved"),
        ("he", "approved"),
    ]
    assert [(e["action"], e["role"]) for e in inside.log()] == [
        ("server:init", "administrator"),
        ("member:add", "administrator"),
        ("member:add", "administrator"),
    ]
    inside.installation.close()


def test_init_twice(directory: Path, run: Run) -> None:
    done = run("server", "init", directory)
    assert done.exit_code == 1
    assert "not empty" in done.stderr


def test_init_with_someone_in_the_wrong_part(
    tmp_path: Path, run: Run, people: dict[str, Path]
) -> None:
    done = run("server", "init", tmp_path / "srv", "--operator", people["he"])
    assert done.exit_code == 2
    assert not (tmp_path / "srv").exists()


def test_init_with_a_file_that_is_no_identity(tmp_path: Path, run: Run) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    done = run("server", "init", tmp_path / "srv", "--operator", other)
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "srv").exists()


def test_add_and_revoke(directory: Path, run: Run, people: dict[str, Path]) -> None:
    assert run("server", "add-member", directory, people["jinjiang-civil"]).exit_code == 0
    assert run("server", "add-member", directory, people["chen"]).exit_code == 0
    done = run("server", "revoke-member", directory, "chen", "--reason", "left")
    assert done.exit_code == 0
    again = run("server", "add-member", directory, people["chen"])
    assert again.exit_code == 1
    assert "revoked" in again.stderr
    assert run("server", "revoke-member", directory, "nobody", "--reason", "x").exit_code == 1
    inside = seen(directory)
    assert {row["id"]: row["state"] for row in inside.rows("members")} == {
        "chen": "revoked",
        "jinjiang-civil": "approved",
    }
    inside.installation.close()


def test_config_shows_every_setting(directory: Path, run: Run) -> None:
    with (directory / "server.toml").open("a") as file:
        file.write("lease_s = 17\n")
    done = run("server", "config", directory)
    assert done.exit_code == 0
    for name in ("max_upload_bytes", "lease_s", "hosts", "idle_timeout_s"):
        assert name in done.stdout
    assert "17.0" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("server", "config"),
        ("server", "run"),
        ("server", "migrate"),
        ("worker", "run", "--once"),
    ],
)
def test_a_folder_that_is_no_servers(tmp_path: Path, run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, tmp_path)
    assert done.exit_code == 1
    assert "server init" in done.stderr


def test_a_setting_that_is_wrong(directory: Path, run: Run) -> None:
    (directory / "server.toml").write_text("threads = 0\n")
    done = run("server", "run", directory)
    assert done.exit_code == 1
    assert "threads" in done.stderr


def test_plain_http_beyond_this_machine(directory: Path, run: Run) -> None:
    done = run("server", "run", directory, "--host", "0.0.0.0")  # noqa: S104
    assert done.exit_code == 1
    assert "--tls-cert" in done.stderr


def test_a_log_key_that_others_may_read(directory: Path, run: Run) -> None:
    (directory / "log.key").chmod(0o644)
    done = run("server", "run", directory)
    assert done.exit_code == 1
    assert "Others" in done.stderr
    assert "PRIVATE" not in done.stderr


def test_migrate_when_there_is_nothing_to_do(directory: Path, run: Run) -> None:
    done = run("server", "migrate", directory)
    assert (done.exit_code, done.stdout) == (0, "The database is up to date.\n")


def test_backup_and_restore(directory: Path, run: Run, tmp_path: Path) -> None:
    made = run("server", "backup", directory, tmp_path / "backup")
    assert made.exit_code == 0, made.output
    assert "data.key" in made.stderr
    again = run(
        "server", "restore", tmp_path / "backup", tmp_path / "again",
        "--data-key", directory / "data.key",
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    assert "log is whole" in again.stdout
    inside = seen(tmp_path / "again")
    assert [e["action"] for e in inside.log()] == [
        "server:init",
        "server:backup",
        "server:restore",
    ]
    inside.installation.close()
    assert run("server", "backup", directory, tmp_path / "backup").exit_code == 1
    other = run("server", "restore", tmp_path, tmp_path / "x", "--data-key", directory / "data.key")
    assert other.exit_code == 1
    assert "no whole backup" in other.stderr


def test_who_leaves_has_two_ways_in(directory: Path, run: Run, people: dict[str, Path]) -> None:
    add = ("server", "add-person", directory, "chen", "--name", "陈", "--role", "operator")
    revoke = ("server", "revoke-member", directory, "chen", "--reason", "left")
    disable = ("server", "disable-person", directory, "chen", "--reason", "left")
    assert run("server", "add-member", directory, people["chen"]).exit_code == 0
    assert run(*add).exit_code == 0
    assert "tongqiao server revoke-member" in run(*disable).stderr
    assert run(*revoke).stderr == ""
    assert run("server", "invite-person", directory, "chen").exit_code == 0
    assert "tongqiao server disable-person" in run(*revoke).stderr
    assert run(*disable).stderr == ""


def test_people_are_invited_and_disabled(directory: Path, run: Run) -> None:
    add = ("server", "add-person", directory, "wu", "--name", "吴芸", "--role", "administrator")
    done = run(*add)
    assert done.exit_code == 0, done.output
    first = done.stdout.split(": ")[1].strip()
    assert len(first) == 32
    assert run(*add).exit_code == 1
    again = run("server", "invite-person", directory, "wu")
    assert again.exit_code == 0
    assert first not in again.stdout
    assert run("server", "disable-person", directory, "wu", "--reason", "left").exit_code == 0
    assert run("server", "disable-person", directory, "nobody", "--reason", "x").exit_code == 1
    inside = seen(directory)
    assert [(p["id"], p["state"]) for p in inside.rows("people")] == [("wu", "disabled")]
    assert first not in str(inside.log())
    inside.installation.close()


def test_config_hides_passwords(directory: Path, run: Run) -> None:
    settings = directory / "server.toml"
    text = settings.read_text().replace(
        'database = "sqlite"', 'database = "postgresql://tq:hunter2@db.example/tq"'
    )
    assert "hunter2" in text
    settings.write_text(text)
    done = run("server", "config", directory)
    assert done.exit_code == 0
    assert "hunter2" not in done.output
    assert "db.example" in done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    "command",
    [
        ("server",),
        ("server", "backup"),
        ("server", "restore"),
        ("server", "add-person"),
        ("server", "invite-person"),
        ("server", "disable-person"),
        ("server", "init"),
        ("server", "add-member"),
        ("server", "revoke-member"),
        ("server", "migrate"),
        ("server", "config"),
        ("server", "run"),
        ("worker",),
        ("worker", "run"),
    ],
)
def test_help_has_an_example(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert f"tongqiao {command[0]}" in done.stdout
