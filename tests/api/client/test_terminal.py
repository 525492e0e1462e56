import errno
import json

import click
import pytest
from click.testing import CliRunner, Result

from api.client.errors import ApiError
from api.client.terminal import (
    ID,
    failing,
    progress_bar,
    say,
    server_options,
    show_json,
    show_table,
)
from keys.errors import KeysError
from linkage.errors import LinkageError


def _run(error: Exception) -> Result:
    @click.command()
    def command() -> None:
        with failing("write the list"):
            raise error

    return CliRunner().invoke(command)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeysError("Others may read the key file."), "Others may read the key file."),
        (LinkageError("Row 7 is\x1b[2J damaged."), "Row 7 is [2J damaged."),
        (ApiError("forbidden", 403, "Not yours.", "0123"), "Not yours. (request 0123)"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "/home/clerk/甲.csv"),
            "Could not write the list: there is no such file or folder. Check the name.",
        ),
        (OSError(errno.ENOSPC, "No space left", "/home/clerk/甲.csv"), "the disk is full"),
        (OSError(errno.EIO, "Input/output error", "/home/clerk/甲.csv"), "Input/output error."),
        (FileExistsError(), "a file of that name exists already"),
        (MemoryError("(131072,)"), "This computer has too little memory to write the list."),
        (OSError("/home/clerk/甲.csv"), "reading or writing failed"),
    ],
)
def test_expected_failures_end_with_1_and_safe_words(error: Exception, message: str) -> None:
    result = _run(error)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "甲" not in result.stderr
    assert "\x1b" not in result.stderr
    assert not result.stdout


def test_a_mistake_of_the_program_is_not_hidden() -> None:
    assert isinstance(_run(ZeroDivisionError()).exception, ZeroDivisionError)


def test_wrong_use_inside_keeps_its_exit_code() -> None:
    assert _run(click.UsageError("Leave it out.")).exit_code == 2


@click.command()
@server_options(required=False)
def _optional(server: str | None, keys: object, ca_file: object) -> None:
    click.echo(f"{server} {keys} {ca_file}")


def test_server_options_may_be_optional_and_come_from_the_environment() -> None:
    assert CliRunner().invoke(_optional).output == "None None None\n"
    environment = {"TONGQIAO_SERVER": "https://Linkage.example.org/"}
    result = CliRunner().invoke(_optional, env=environment)
    assert result.output == "https://linkage.example.org None None\n"
    assert CliRunner().invoke(_optional, ["--server", "http://10.0.0.1"]).exit_code == 2


@pytest.mark.parametrize("text", ["", "A", "-a", "a/b", "..", "a\n", "a" * 64, "甲"])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(click.BadParameter):
        ID.convert(text, None, None)
    assert ID.convert("2026-h2", None, None) == "2026-h2"


def test_results_go_to_stdout_and_progress_to_stderr() -> None:
    @click.command()
    def command() -> None:
        show_table(["office", "records"], [["[red]a\x1b[1m", None], ["b", 7]], numeric=["records"])
        say("done\x1b[0m")
        with progress_bar("sending") as advance:
            advance(5, 10, "half[/]\x1b")

    result = CliRunner().invoke(command)
    assert result.exit_code == 0, result.output
    assert "[red]a [1m" in result.stdout
    assert "done [0m" in result.stdout
    assert "sending: half[/]" in result.stderr
    assert "sending" not in result.stdout
    assert "\x1b" not in result.output


def test_a_wide_table_in_a_pipe_is_not_cut() -> None:
    @click.command()
    def command() -> None:
        show_table(["fingerprint", "name"], [["12345-" * 20, "x" * 60]])

    assert "12345-" * 20 in CliRunner().invoke(command).stdout


def test_json_is_for_other_programs() -> None:
    @click.command()
    def command() -> None:
        show_json({"名": "值\x1b[31m"})

    output = CliRunner().invoke(command).stdout
    assert json.loads(output) == {"名": "值\x1b[31m"}
    assert "\x1b" not in output
