"""``tongqiao project``: what rounds belong to."""

from pathlib import Path

import click

from api.client.terminal import (
    ID,
    INPUT_FILE,
    failing,
    json_option,
    open_client,
    say,
    server_options,
    show_json,
    show_table,
)
from api.operator.answers import rows_of


@click.group(name="project")
def project_group() -> None:
    """Create and list projects.

    Example:

    \b
        tongqiao project list --server https://linkage.example.org --keys operator.private.json
    """


@project_group.command(name="create")
@click.argument("definition", metavar="PROJECT.toml", type=INPUT_FILE)
@server_options
def project_create_command(server: str, keys: Path, ca_file: Path | None, definition: Path) -> None:
    """Create a project from a file.

    \b
    PROJECT.toml:
        id = "sichuan-children"
        name = "Children of migrant families, Sichuan"
        purpose = "So that no child is missed by the services."
        coordinating_office = "province-coordination"
        [[members]]
        office = "jinjiang-civil"
        role = "residence-civil-affairs"
        division = "510104"
        side = "residence"

    A member's division and side may be left out. With them, the review of a round shows how many
    children went from which county to which.

    Example:

    \b
        tongqiao project create PROJECT.toml --server URL --keys operator.private.json
    """
    from api.operator.definitions import check_project, load_definition

    with failing("read the project"):
        project = check_project(load_definition(definition, "project"))
        open_client(server, keys, ca_file).post_json("/v1/projects", project)
    say(f"Project {project['id']} is created, with {len(project['members'])} members.")


@project_group.command(name="list")
@json_option
@server_options
def project_list_command(server: str, keys: Path, ca_file: Path | None, as_json: bool) -> None:
    """Show all projects.

    Example:

    \b
        tongqiao project list --server URL --keys operator.private.json
    """
    with failing("use the key file"):
        answer = open_client(server, keys, ca_file).get_json("/v1/projects")
        if as_json:
            show_json(answer)
            return
        columns = ("id", "name", "coordinating_office")
        show_table(columns, rows_of(answer, "projects", columns))


@project_group.command(name="show")
@click.argument("project", metavar="ID", type=ID)
@json_option
@server_options
def project_show_command(
    server: str, keys: Path, ca_file: Path | None, project: str, as_json: bool
) -> None:
    """Show one project and its members.

    Example:

    \b
        tongqiao project show sichuan-children --server URL --keys operator.private.json
    """
    with failing("use the key file"):
        answer = open_client(server, keys, ca_file).get_json(f"/v1/projects/{project}")
        if as_json:
            show_json(answer)
            return
        for key in ("id", "name", "purpose", "coordinating_office"):
            say(f"{key.replace('_', ' ')}: {answer.get(key)}")
        columns = ("office", "role", "division", "side")
        rows = rows_of(answer, "members", columns)
        show_table(columns, [[cell or "" for cell in row] for row in rows])


@project_group.command(name="place")
@click.argument("project", metavar="PROJECT", type=ID)
@click.argument("office", metavar="OFFICE", type=ID)
@click.option("--division", metavar="CODE", help="The office's county, six digits (GB/T 2260).")
@click.option(
    "--side",
    type=click.Choice(["origin", "residence"]),
    help="Whether children come from there, or live there now.",
)
@click.option("--none", "nowhere", is_flag=True, help="Take the office's place away.")
@server_options
def project_place_command(
    server: str,
    keys: Path,
    ca_file: Path | None,
    project: str,
    office: str,
    division: str | None,
    side: str | None,
    nowhere: bool,
) -> None:
    """Say in which county an office stands, for the flows in a round's review.

    It counts for rounds that are matched from now on.

    Example:

    \b
        tongqiao project place sichuan-children zhongjiang-civil --division 510623 --side origin \\
            --server URL --keys operator.private.json
    """
    from api.operator.definitions import DefinitionError, check_place

    with failing("change the project"):
        if nowhere and (division or side):
            raise DefinitionError("Give --none alone, or --division and --side.")
        if not nowhere:
            check_place(division, side)
        client = open_client(server, keys, ca_file)
        columns = ("office", "division", "side")
        rows = rows_of(client.get_json(f"/v1/projects/{project}"), "members", columns)
        if office not in [row[0] for row in rows]:
            raise DefinitionError(f"'{office}' is not an office of '{project}' with records.")
        places = [
            dict(zip(columns, row, strict=True)) for row in rows if row[0] != office and row[1]
        ]
        if not nowhere:
            places.append({"office": office, "division": division, "side": side})
        client.put_json(f"/v1/projects/{project}/places", {"places": places})
    say(f"{office} has no place now." if nowhere else f"{office} stands in {division}, {side}.")
