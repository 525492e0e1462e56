"""The one error tree of ``api.audit``; no message repeats a value that it refuses."""


class AuditError(Exception):
    """Base of every error that ``api.audit`` raises on purpose."""


class AuditEventError(AuditError):
    """An event holds what may not stand in the log, or lacks what must."""


class EntryError(AuditError):
    """A line is not an entry in the form of ``AUDIT_LOG.md``."""


class LogStoreError(AuditError):
    """The log's tables are missing, damaged, or were changed behind the log's back."""


class ProofError(AuditError):
    """A Merkle proof or a compact range does not fit what it should prove."""


class ArchiveError(AuditError):
    """An archive of sealed entries is damaged, or does not hold what was signed."""


class NoteError(AuditError):
    """A checkpoint, or the key that signs checkpoints, is not well formed."""


class NoteKeyError(NoteError):
    """A checkpoint is not signed by the key that it should be signed by."""


class NoteSignatureError(NoteError):
    """A checkpoint's signature does not fit its text."""


class DirectoryError(AuditError):
    """A folder of fetched entries cannot be used as it is."""


class FetchError(AuditError):
    """The server's log does not fit what was fetched before, or does not fit itself."""


class ExportError(AuditError):
    """An exported file, or its manifest, is not what was exported."""
