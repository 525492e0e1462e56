"""The ``tongqiao`` command: composes the groups, and imports each only when it is called.

A server process must not import what can encode plaintext, and a clerk's command must not wait for
a web framework to load; so no group is imported before it is named.
"""

import importlib
import sys
from collections.abc import Mapping

import click

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "keys": ("api.office.key_commands:keys_group", "Make key pairs of an office or a person."),
    "secret": ("api.office.secret_commands:secret_group", "Make, seal and open a linkage secret."),
    "inspect": ("api.office.inspect_commands:inspect_command", "Look at an input file."),
    "encode": ("api.office.encode_commands:encode_command", "Encode a file of records."),
    "office": ("api.office.commands:office_group", "Take part in a round, as an office."),
    "member": ("api.operator.commands:member_group", "Approve or revoke offices."),
    "project": ("api.operator.commands:project_group", "Create and list projects."),
    "round": ("api.operator.commands:round_group", "Run a round, as a linkage operator."),
    "match": ("api.operator.match_command:match_command", "Match encoded files offline."),
    "evaluate": ("api.operator.evaluate_command:evaluate_command", "Compare links with truth."),
    "audit": ("api.audit.all_commands:audit_group", "Read and verify the access log."),
    "server": ("api.server.log_commands:server_group", "Set up and run a linkage server."),
    "worker": ("api.server.commands:worker_group", "Run the matching worker of a server."),
    "demo": ("api.demo.commands:demo_command", "Play one whole round on invented data."),
}
"""Command name -> where it is, and the line that ``tongqiao --help`` shows."""


class _LazyGroup(click.Group):
    """A group that imports a command only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module_name, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tongqiao", prog_name="tongqiao")
def cli() -> None:
    """Find records of the same child in several offices without showing who the child is."""


def main() -> None:
    """Entry point: exit code 0 for success, 1 for a failed job, 2 for wrong use."""
    sys.exit(cli())
