"""``tongqiao secret`` as people use it."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from keys.identity import new_identity
from keys.linkage_secret import load_linkage_secret, parse_linkage_secret
from keys.storage import load_public_identity, save_identity


def _run(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(cli, [str(argument) for argument in arguments])


def _secret_text(path: Path) -> str:
    return path.read_text(encoding="ascii").split(":")[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keys of a coordinating office, a member, another office and an operator; a secret."""
    for holder in ("province", "jinjiang", "zigong"):
        save_identity(new_identity(holder, "office"), tmp_path)
    save_identity(new_identity("wang-li", "operator"), tmp_path)
    assert _run("secret", "new", "--out", tmp_path / "s.secret").exit_code == 0
    return tmp_path


def _seal(folder: Path, *more: str | Path, out: str = "blob", **changes: str) -> Result:
    options = {
        "secret-file": "s.secret",
        "keys": "province.private.json",
        "to": "jinjiang.public.json",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    arguments = [part for name, file in options.items() for part in (f"--{name}", folder / file)]
    return _run("secret", "seal", *arguments, "--project", "children", "--out", folder / out, *more)


def _open(folder: Path, *more: str | Path, blob: str = "blob", **changes: str) -> Result:
    options = {"keys": "jinjiang.private.json", "from": "province.public.json"} | changes
    arguments = [part for name, file in options.items() for part in (f"--{name}", folder / file)]
    project = [] if "--project" in more else ["--project", "children"]
    return _run(
        "secret", "open", folder / blob, *arguments, *project, "--out", folder / "opened", *more
    )


def test_new_writes_a_private_file_and_shows_its_fingerprint_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "s.secret"
    result = _run("secret", "new", "--out", path)
    assert result.exit_code == 0
    assert f"Fingerprint: {load_linkage_secret(path).fingerprint}" in result.stdout
    assert _secret_text(path) not in result.output
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_secrets_differ(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert _run("secret", "new", "--out", tmp_path / name).exit_code == 0
    assert load_linkage_secret(tmp_path / "a") != load_linkage_secret(tmp_path / "b")


def test_new_never_writes_over_a_secret(folder: Path) -> None:
    before = (folder / "s.secret").read_bytes()
    result = _run("secret", "new", "--out", folder / "s.secret")
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert (folder / "s.secret").read_bytes() == before


def test_show_shows_the_fingerprint_alone(folder: Path) -> None:
    result = _run("secret", "show", folder / "s.secret")
    assert result.exit_code == 0
    fingerprint = load_linkage_secret(folder / "s.secret").fingerprint
    assert result.stdout == f"Fingerprint: {fingerprint}\n"


def test_a_sealed_secret_opens_at_the_member(folder: Path) -> None:
    sealed, opened = _seal(folder), _open(folder)
    assert (sealed.exit_code, opened.exit_code) == (0, 0), sealed.output + opened.output
    secret = load_linkage_secret(folder / "s.secret")
    assert load_linkage_secret(folder / "opened") == secret
    assert load_public_identity(folder / "jinjiang.public.json").fingerprint in sealed.stdout
    # What the two offices compare by telephone.
    assert load_public_identity(folder / "province.public.json").fingerprint in opened.stdout
    assert secret.fingerprint in opened.stdout
    text = _secret_text(folder / "s.secret")
    assert text not in sealed.output + opened.output
    assert bytes.fromhex(text) not in (folder / "blob").read_bytes()
    if os.name == "posix":
        for name in ("blob", "opened"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_the_key_file_may_be_named_by_the_environment(folder: Path) -> None:
    result = _run(
        *("secret", "seal", "--secret-file", folder / "s.secret"),
        *("--to", folder / "jinjiang.public.json"),
        *("--project", "children", "--out", folder / "blob"),
        env={"TONGQIAO_KEYS": str(folder / "province.private.json")},
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda f: _open(f, keys="zigong.private.json"), "sealed to another key"),
        (lambda f: _open(f, **{"from": "zigong.public.json"}), "another key than the given"),
        (lambda f: _open(f, **{"from": "wang-li.public.json"}), "Only an office"),
        (lambda f: _open(f, "--project", "other"), "does not fit"),
        (lambda f: _open(f, "--epoch", "2"), "does not fit"),
        (lambda f: _open(f, blob="s.secret"), "nothing that this program sealed"),
        (lambda f: _open(f, keys="jinjiang.public.json"), "That is a public identity"),
        (lambda f: _open(f, **{"from": "province.private.json"}), "That is a private key file"),
    ],
    ids=["key", "sender", "operator", "project", "epoch", "not sealed", "public key", "private"],
)
def test_what_does_not_fit_is_not_opened(
    folder: Path, attempt: Callable[[Path], Result], says: str
) -> None:
    assert _seal(folder).exit_code == 0
    result = attempt(folder)
    assert result.exit_code == 1
    assert says in result.stderr
    assert result.stdout == ""
    assert not (folder / "opened").exists()


def test_an_altered_blob_is_not_opened(folder: Path) -> None:
    assert _seal(folder).exit_code == 0
    blob = bytearray((folder / "blob").read_bytes())
    blob[100] ^= 1
    (folder / "blob").write_bytes(blob)
    result = _open(folder)
    assert result.exit_code == 1
    assert "altered" in result.stderr
    assert not (folder / "opened").exists()


def test_another_epoch_is_sealed_and_opened_as_such(folder: Path) -> None:
    assert _seal(folder, "--epoch", "2").exit_code == 0
    assert _open(folder).exit_code == 1
    assert _open(folder, "--epoch", "2").exit_code == 0


def test_the_secret_is_not_sealed_to_an_operator(folder: Path) -> None:
    result = _seal(folder, to="wang-li.public.json")
    assert result.exit_code == 1
    assert "Only offices" in result.stderr
    assert not (folder / "blob").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("name", ["s.secret", "province.private.json"])
def test_what_others_may_read_is_not_used(folder: Path, name: str) -> None:
    (folder / name).chmod(0o640)
    result = _seal(folder)
    assert result.exit_code == 1
    assert "chmod 600" in result.stderr
    assert not (folder / "blob").exists()


def test_a_damaged_secret_file_is_refused_and_not_quoted(folder: Path) -> None:
    path = folder / "s.secret"
    text = path.read_text(encoding="ascii")
    wrong = "0" if text[40] != "0" else "1"
    path.write_text(text[:40] + wrong + text[41:], encoding="ascii")
    result = _run("secret", "show", path)
    assert result.exit_code == 1
    assert "checksum" in result.stderr
    assert text[50:60] not in result.output


@pytest.mark.parametrize("out", ["s.secret", "jinjiang.private.json"])
def test_open_never_writes_over_a_file(folder: Path, out: str) -> None:
    assert _seal(folder).exit_code == 0
    before = (folder / out).read_bytes()
    result = _open(folder, "--out", folder / out)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert (folder / out).read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["new"],
        ["new", "--out", ".", "--secret", "00"],
        ["show"],
        ["show", "missing"],
        ["seal", "--project", "children"],
        ["open"],
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    result = _run("secret", *arguments)
    assert result.exit_code == 2
    assert "Error" in result.stderr


@pytest.mark.parametrize(
    "more", [["--epoch", "0"], ["--epoch", "x"], ["--project", "A/b"]], ids=str
)
def test_a_wrong_epoch_or_project_is_wrong_use(folder: Path, more: list[str]) -> None:
    assert _seal(folder, *more).exit_code == 2
    assert not (folder / "blob").exists()


@pytest.mark.parametrize("command", [[], ["new"], ["show"], ["seal"], ["open"]])
def test_help_has_an_example(command: list[str]) -> None:
    result = _run("secret", *command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout
    assert f"tongqiao secret {' '.join(command)}" in result.stdout


def test_what_was_opened_is_the_whole_file(folder: Path) -> None:
    assert _seal(folder).exit_code == 0
    assert _open(folder).exit_code == 0
    assert (folder / "opened").read_bytes() == (folder / "s.secret").read_bytes()
    parse_linkage_secret((folder / "opened").read_bytes())
