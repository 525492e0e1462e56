"""``tongqiao member``, ``project`` and ``round``: what a linkage operator does."""

from api.operator.exclusion_commands import (
    project_exclude_command,
    round_exclude_command,
    round_expire_command,
)
from api.operator.member_commands import member_group
from api.operator.project_commands import project_group
from api.operator.round_commands import round_group

round_group.add_command(round_exclude_command)
round_group.add_command(round_expire_command)
project_group.add_command(project_exclude_command)

__all__ = ["member_group", "project_group", "round_group"]
