"""The server's tables: the only module group that knows columns; it knows no rules."""

from api.audit.tables import define_log_tables
from api.server.models.audit_tasks import AuditTask
from api.server.models.base import Base, UtcDateTime
from api.server.models.deliveries import Receipt, RetractedLink, Withdrawal
from api.server.models.incoming import RoundKey, UploadPart
from api.server.models.links import Link
from api.server.models.member_keys import MemberKey
from api.server.models.members import Member, Nonce
from api.server.models.people import (
    LoginAttempts,
    LoginSession,
    PendingLogin,
    Person,
    RecoveryCode,
)
from api.server.models.projects import Project, ProjectOffice, SealedSecret
from api.server.models.rounds import (
    PendingRequest,
    Round,
    RoundOffice,
    Signature,
    StateChange,
    Upload,
)
from api.server.models.traces import Trace

LOG_TABLES = define_log_tables(Base.metadata)
"""Tables of the access log; written by ``api.audit`` alone."""

__all__ = [
    "LOG_TABLES",
    "AuditTask",
    "Base",
    "Link",
    "LoginAttempts",
    "LoginSession",
    "Member",
    "MemberKey",
    "Nonce",
    "PendingLogin",
    "PendingRequest",
    "Person",
    "Project",
    "ProjectOffice",
    "Receipt",
    "RecoveryCode",
    "RetractedLink",
    "Round",
    "RoundKey",
    "RoundOffice",
    "SealedSecret",
    "Signature",
    "StateChange",
    "Trace",
    "Upload",
    "UploadPart",
    "UtcDateTime",
    "Withdrawal",
]
