"""``tongqiao office workbench``: the pages of the office, on this computer only."""

import logging
import socket
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.client.terminal import INPUT_FILE, failing, remark, say, server_options

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_HOST = "127.0.0.1"


@click.command(name="workbench")
@click.option(
    "--dir",
    "directory",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path.home() / "tongqiao-workbench",
    show_default="tongqiao-workbench in your home folder",
    help="Folder for lists and links; only you can read it.",
)
@click.option(
    "--secret-file",
    metavar="FILE",
    type=INPUT_FILE,
    help="The project's linkage secret.  [default: linkage.secret in the folder]",
)
@click.option(
    "--profile",
    metavar="NAME_OR_FILE",
    default="cn-child-v1",
    show_default=True,
    help="Encoding profile: its fields are looked for in lists.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8719,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes any free one.",
)
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@server_options(required=False)
def workbench_command(
    server: str | None,
    keys: Path | None,
    ca_file: Path | None,
    directory: Path,
    secret_file: Path | None,
    profile: str,
    port: int,
    no_browser: bool,
) -> None:
    """Open the office's pages in the browser.

    For clerks: take in a list, see its problems, sign terms, encode, send, and get the links beside
    your own rows. The pages answer to this computer alone. Stop with Ctrl+C.

    Example:

    \b
        tongqiao office workbench --server https://linkage.example.org \\
            --keys my-office.private.json
    """
    from api.office.session import open_office
    from api.office.workbench.app import create_workbench
    from api.office.workbench.desk import make_desk
    from api.office.workbench.folder import OfficeFolder
    from api.office.workbench.guard import KEY_PARAMETER, new_key
    from linkage.profile import load_profile

    if (server is None) != (keys is None):
        raise click.UsageError("Give both --server and --keys, or neither.")
    with failing("open the workbench"):
        client = None
        if server is not None and keys is not None:
            client, _ = open_office(server, keys, ca_file)
        folder = OfficeFolder(directory.resolve(), secret_file)
        desk = make_desk(folder, load_profile(profile), client)
        listener = _listen(port)
    key = new_key()
    address = f"http://{_HOST}:{listener.getsockname()[1]}/?{KEY_PARAMETER}={key}"
    say(f"The workbench is open at {address}")
    remark("The address holds a key for this start: give it to nobody. Stop with Ctrl+C.")
    if not no_browser:
        webbrowser.open(address)
    _serve(create_workbench(desk, key), listener)


def _listen(port: int) -> socket.socket:
    listener = socket.create_server((_HOST, port))
    listener.listen(64)
    return listener


def _serve(app: "WSGIApplication", listener: socket.socket) -> None:
    """Answer until Ctrl+C.

    Werkzeug's server is enough for one person on one machine, and runs on Windows too.
    """
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = listener.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, fd=listener.fileno())
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        remark("The workbench is closed.")
    finally:
        server.server_close()
