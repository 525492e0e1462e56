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
        columns = ("office", "role")
        show_table(columns, rows_of(answer, "members", columns))
