"""``tongqiao keys`` as people use it."""

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from keys.identity import PublicIdentity
from keys.storage import (
    load_private_identity,
    load_public_identity,
    protect_private_file,
    write_private_file,
)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def _private_parts(path: Path) -> list[str]:
    document = json.loads(path.read_bytes())
    return [document["signing_private"], document["sealing_private"]]


@pytest.fixture
def public(tmp_path: Path) -> PublicIdentity:
    result = _run(
        "keys", "new", "--office", "jinjiang-civil", "--name", "锦江区民政局", "--out", tmp_path
    )
    assert result.exit_code == 0, result.output
    return load_public_identity(tmp_path / "jinjiang-civil.public.json")


def test_new_makes_a_pair_of_files_and_shows_the_fingerprint(
    tmp_path: Path, public: PublicIdentity
) -> None:
    private_path = tmp_path / "jinjiang-civil.private.json"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "jinjiang-civil.private.json",
        "jinjiang-civil.public.json",
    ]
    assert load_private_identity(private_path).public == public
    assert (public.holder, public.kind, public.name) == ("jinjiang-civil", "office", "锦江区民政局")
    if os.name == "posix":
        assert stat.S_IMODE(private_path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["office", "operator", "auditor"])
def test_new_serves_every_kind_and_shows_no_private_key(tmp_path: Path, kind: str) -> None:
    result = _run("keys", "new", f"--{kind}", "wang-li", "--out", tmp_path / "new" / "folder")
    assert result.exit_code == 0
    public = load_public_identity(tmp_path / "new" / "folder" / "wang-li.public.json")
    assert (public.kind, public.name) == (kind, "wang-li")
    assert f"Holder: {kind} wang-li" in result.stdout
    assert f"Fingerprint: {public.fingerprint}" in result.stdout
    for part in _private_parts(tmp_path / "new" / "folder" / "wang-li.private.json"):
        assert part not in result.output


def test_new_never_writes_over_keys(tmp_path: Path, public: PublicIdentity) -> None:
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    result = _run("keys", "new", "--office", "jinjiang-civil", "--out", tmp_path)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--office", "a", "--operator", "b"],
        ["--office", "A"],
        ["--office", ""],
        ["--office", "../a"],
        ["--office", "a" * 64],
        ["--office", "a", "--name", ""],
        ["--office", "a", "--name", "a\tb"],
        ["--office", "a", "--name", "x" * 201],
        ["--office", "a", "--secret", "x"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30] or "nothing",
)
def test_wrong_use_of_new_ends_with_2_and_writes_nothing(
    tmp_path: Path, arguments: list[str]
) -> None:
    result = _run("keys", "new", *arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a bound account")
def test_a_folder_that_cannot_be_written_is_a_failed_job(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    result = _run("keys", "new", "--office", "a", "--out", tmp_path / "locked")
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_a_folder_below_a_file_is_a_failed_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = _run("keys", "new", "--office", "a", "--out", tmp_path / "file" / "keys")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Could not write the key files")
    assert not isinstance(result.exception, OSError)


@pytest.mark.parametrize("which", ["public", "private"])
def test_show_shows_the_public_part(tmp_path: Path, public: PublicIdentity, which: str) -> None:
    result = _run("keys", "show", tmp_path / f"jinjiang-civil.{which}.json")
    assert result.exit_code == 0
    for text in (public.fingerprint, public.key_id, public.name, public.created_at):
        assert text in result.stdout
    for part in _private_parts(tmp_path / "jinjiang-civil.private.json"):
        assert part not in result.output


def test_show_refuses_what_is_no_key_file(tmp_path: Path, public: PublicIdentity) -> None:
    public_path = tmp_path / "jinjiang-civil.public.json"
    text = public_path.read_text(encoding="utf-8")
    public_path.write_text(text.replace("锦江区", "武侯区"), encoding="utf-8")
    result = _run("keys", "show", public_path)
    assert result.exit_code == 1
    assert "not signed by its own key" in result.stderr
    assert result.stdout == ""
    (tmp_path / "table.csv").write_text("姓名\n王小明\n", encoding="utf-8")
    result = _run("keys", "show", tmp_path / "table.csv")
    assert result.exit_code == 1
    assert "王小明" not in result.output


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_show_refuses_a_private_file_that_others_may_read(
    tmp_path: Path, public: PublicIdentity
) -> None:
    path = tmp_path / "jinjiang-civil.private.json"
    path.chmod(0o644)
    result = _run("keys", "show", path)
    assert result.exit_code == 1
    assert "chmod 600" in result.stderr


def test_a_renamed_private_file_is_not_taken_for_a_public_one(
    tmp_path: Path, public: PublicIdentity
) -> None:
    path = tmp_path / "to-send.json"
    (tmp_path / "jinjiang-civil.private.json").rename(path)
    result = _run("keys", "show", path)
    assert result.exit_code == 1
    assert "private key file, which nobody else may see" in result.stderr


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    assert _run("keys", "show", tmp_path / "missing.json").exit_code == 2


@pytest.mark.parametrize("command", [[], ["new"], ["show"]])
def test_help_has_an_example(command: list[str]) -> None:
    result = _run("keys", *command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout
    assert f"tongqiao keys {' '.join(command)}" in result.stdout


def test_a_private_file_is_protected_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "seven bridges over the river"
    CliRunner().invoke(cli, ["keys", "new", "--office", "jinjiang-civil", "--out", str(tmp_path)])
    private = str(tmp_path / "jinjiang-civil.private.json")
    result = CliRunner().invoke(cli, ["keys", "protect", private], input=f"{words}\n{words}\n")
    assert result.exit_code == 0, result.output
    assert words not in result.output
    shown = CliRunner().invoke(cli, ["keys", "show", private], input=f"{words}\n")
    assert "office jinjiang-civil" in shown.stdout
    wrong = CliRunner().invoke(cli, ["keys", "show", private], input="something else\n")
    assert (wrong.exit_code, "does not open" in wrong.stderr) == (1, True)
    # Programs that run by themselves have it in a file of their own.
    (tmp_path / "passphrase").write_text(f"{words}\n", encoding="utf-8")
    (tmp_path / "passphrase").chmod(0o600)
    monkeypatch.setenv("TONGQIAO_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    assert CliRunner().invoke(cli, ["keys", "unprotect", private]).exit_code == 0
    monkeypatch.delenv("TONGQIAO_PASSPHRASE_FILE")
    assert CliRunner().invoke(cli, ["keys", "show", private]).exit_code == 0


def test_a_rotation_that_is_there_already_stops_before_new_keys_are_made(
    tmp_path: Path, public: PublicIdentity
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "jinjiang-civil.rotation.json").write_bytes(b"of last year")
    keys = tmp_path / "jinjiang-civil.private.json"
    result = _run("keys", "rotate", "--keys", keys, "--out", tmp_path / "new")
    assert (result.exit_code, "exists already" in result.stderr) == (1, True)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["jinjiang-civil.rotation.json"]


def test_who_rotates_protected_keys_is_told_that_the_new_ones_are_not(
    tmp_path: Path, public: PublicIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "jinjiang-civil.private.json"
    plain = _run("keys", "rotate", "--keys", keys, "--out", tmp_path / "plain")
    assert (plain.exit_code, "passphrase" in plain.output) == (0, False)
    words = "seven bridges over the river"
    protect_private_file(keys, words)
    write_private_file(tmp_path / "passphrase", words.encode())
    monkeypatch.setenv("TONGQIAO_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    result = _run("keys", "rotate", "--keys", keys, "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert "keys protect" in result.stderr
