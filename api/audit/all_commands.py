"""All of ``tongqiao audit``: what ``api.cli`` loads; each module adds its commands to the group."""

from api.audit import export_commands, report_commands, witness_commands
from api.audit.commands import audit_group

COMMAND_MODULES = (export_commands, report_commands, witness_commands)
"""Modules that add commands to the group as they are imported."""

__all__ = ["COMMAND_MODULES", "audit_group"]
