"""``tongqiao member``, ``project`` and ``round``: what a linkage operator does."""

from api.operator.member_commands import member_group
from api.operator.project_commands import project_group
from api.operator.round_commands import round_group

__all__ = ["member_group", "project_group", "round_group"]
