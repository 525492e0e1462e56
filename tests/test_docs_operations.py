"""docs/operations.md says what the program does: every setting, command and unit in it is real."""

import re
from pathlib import Path

import click

from api.cli import cli
from api.server.config import ServerConfig, describe_settings, parse_config
from api.server.deploy import FOLDER

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def settings_table() -> list[str]:
    """The rows that the docs must have; run this file to print them."""
    shown = []
    for setting in describe_settings(ServerConfig(directory=Path())):
        default = (
            ", ".join(setting.default) or "any"
            if isinstance(setting.default, tuple)
            else str(setting.default) or "none"
        )
        cells = (f"`{setting.name}`", default, setting.unit, setting.help)
        shown.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return shown


def test_every_setting_is_in_the_docs_as_it_is() -> None:
    found = [line for line in TEXT.splitlines() if re.match(r"\| `[a-z0-9_]+` \|", line)]
    assert found == settings_table()


def test_every_command_exists() -> None:
    named = re.findall(r"tongqiao ((?:server|worker|audit) [a-z-]+)", TEXT)
    assert len(named) > 6
    for words in set(named):
        command: click.Command = cli
        for word in words.split():
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), word)
            assert found is not None, words
            command = found


def test_the_example_of_a_larger_server_holds() -> None:
    text = (FOLDER / "server.example.toml").read_text(encoding="utf-8")
    config = parse_config(text, Path("/srv/tongqiao"))
    assert config.database.startswith("postgresql:")
    assert config.encodings.startswith("s3:")
    assert config.oidc_issuer
    # Whoever takes it as it is finds every setting that these three need, commented out or not.
    for setting in describe_settings(config):
        if setting.name.startswith(("oidc_", "s3_", "public_url")):
            assert re.search(rf"^(?:# )?{setting.name} = ", text, re.MULTILINE), setting.name


def test_examples_in_the_text_are_settings() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        parse_config(block, Path("/srv/tongqiao"))


def test_units_start_what_exists() -> None:
    for kind in ("server", "worker"):
        unit = (FOLDER / f"tongqiao-{kind}.service").read_text(encoding="utf-8")
        line = re.search(r"^ExecStart=\S+/tongqiao (.+)$", unit, re.MULTILINE)
        assert line is not None
        group, name, _, *options = line.group(1).split()
        command = cli.get_command(click.Context(cli), group)
        assert isinstance(command, click.Group)
        run = command.get_command(click.Context(command), name)
        assert run is not None
        known = {option for parameter in run.params for option in parameter.opts}
        assert set(options) <= known
        for hardening in (
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "CapabilityBoundingSet=\n",
        ):
            assert hardening in unit


def test_the_container_file_installs_from_the_lock() -> None:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    assert "--require-hashes -r requirements/production.txt" in text
    assert (ROOT / "requirements" / "production.txt").exists()
    assert "USER tongqiao" in text
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), f"{source} is copied, and is not there"
    # An intranet has its own base and its own package index; the default is named once.
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert "\nARG PIP_INDEX_URL\n" in text


if __name__ == "__main__":
    print("\n".join(settings_table()))  # noqa: T201 - for who changes a setting
