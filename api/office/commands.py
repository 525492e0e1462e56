"""``tongqiao office``: everything that an office says to the linkage server, and the list it makes.

Nothing here reads a raw record but ``join``, which sends nothing, and ``workbench``, whose pages
answer to this computer alone.
"""

import click

from api.office.join_command import join_command
from api.office.membership_commands import (
    enrol_command,
    fetch_secret_command,
    identity_command,
    send_secret_command,
    status_command,
)
from api.office.round_commands import (
    leave_command,
    results_command,
    sign_command,
    terms_command,
    upload_command,
    withdraw_command,
)
from api.office.workbench.commands import workbench_command


@click.group(name="office")
def office_group() -> None:
    """Take part in a round, as an office.

    In order: enrol, fetch-secret, terms, sign, upload, results, join.  What comes before an upload
    (keys, secret, inspect, encode) are commands of their own.

    Example:

    \b
        tongqiao office status --server https://linkage.example.org --keys my-office.private.json
    """


for _command in (
    enrol_command,
    status_command,
    identity_command,
    send_secret_command,
    fetch_secret_command,
    terms_command,
    sign_command,
    upload_command,
    withdraw_command,
    results_command,
    join_command,
    leave_command,
    workbench_command,
):
    office_group.add_command(_command)
