"""Addresses of the API: each route parses, calls one service, and answers."""

from typing import Final

from api.server.routes import account, log, members, people, projects, public, rounds, uploads
from api.server.routes.blueprints import StrictBlueprint

BLUEPRINTS: Final[tuple[StrictBlueprint, ...]] = (
    public.blueprint,
    account.blueprint,
    people.blueprint,
    members.blueprint,
    projects.blueprint,
    rounds.blueprint,
    uploads.blueprint,
    log.blueprint,
)
"""All of them, in the order of the documentation."""
