"""Errors in the reader's language: by type, code and parameters, never by their English text.

English pages show an error's own message, which is exact.  In Chinese the words come from here; the
message stands folded beneath them, for a technician to pass on.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import lazy_gettext as _l

from api.client.errors import ApiError, printable
from api.client.terms import TermsError
from api.pages.languages import current_language
from keys.errors import (
    AtRestError,
    KeyFileError,
    KeysError,
    RequestSignatureError,
    SealingError,
    SecretError,
    SignatureError,
)
from linkage.encoding.encode_file import RiskyFileError
from linkage.errors import (
    ClkFileError,
    EncodingError,
    EvaluationError,
    LinkageError,
    LinkageSchemaError,
    MatchingError,
    ProfileError,
    RecordsError,
    TqeFormatError,
)


class ToldError(RecordsError):
    """Something that the workbench refuses; its message is in the reader's language."""


@dataclass(frozen=True, slots=True)
class Told:
    """An error as a page shows it.

    Attributes:
        text: in the reader's language.
        original: the English message, where the text is another; ``""`` else.
        request: the server's name for the request, where it refused.
    """

    text: str
    original: str = ""
    request: str = ""

    def __str__(self) -> str:
        return self.text


_BY_CODE: Final[Mapping[str, object]] = {
    "empty-file": _l("The file is empty. Export it again."),
    "unreadable-file": _l("The file cannot be read. Close it in other programs, then try again."),
    "no-table": _l("The file holds no table: its first rows are empty. Export it again."),
    "no-headings": _l("The first row holds values, not headings. Put a row of headings on top."),
    "unpaired-quotes": _l(
        "The quotation marks near line %(line)s do not pair. Correct that line, or export the "
        "file again."
    ),
    "damaged-text": _l(
        "The file is damaged near line %(line)s. Export it again, as .xlsx or as CSV in UTF-8."
    ),
    "cut-off-text": _l("The file is cut off at line %(line)s. Copy or export it again."),
    "no-sheet": _l("The workbook has %(n_sheets)s sheets; there is no sheet %(sheet)s."),
    "password": _l("The workbook has a password. Save it without one."),
    "damaged-workbook": _l("The workbook is damaged or cut off. Copy or export it again."),
    "large-workbook": _l(
        "The workbook is too large to be read. Delete what does not belong to the table, or save "
        "the sheet as CSV in UTF-8."
    ),
    "not-text": _l("The file is no table. Save it as .xlsx or as CSV in UTF-8."),
    "unknown-encoding": _l("The file's characters cannot be read. Save it as .xlsx."),
    "heading-missing": _l(
        "The file has no heading “%(heading)s” any more. Choose the column anew."
    ),
    "heading-twice": _l(
        "The heading “%(heading)s” stands several times. Choose the column anew: %(choices)s."
    ),
    "bad-mapping": _l("What was chosen for the columns cannot be used. Choose them anew."),
}

_BY_TYPE: Final[Mapping[type[Exception], object]] = {
    RiskyFileError: _l("The check refused the file. See below what was found, and what to do."),
    EncodingError: _l("The records cannot be encoded. Check the file and its columns."),
    TermsError: _l("The terms are not as they should be. Do not sign; tell the operator."),
    ProfileError: _l("The encoding profile of the round cannot be used. Tell the operator."),
    TqeFormatError: _l("The encoded file is damaged. Encode and send again."),
    RecordsError: _l("The file cannot be used as it is. Check it, or export it again."),
    ClkFileError: _l("The file of encodings cannot be used."),
    LinkageSchemaError: _l("The linkage schema cannot be used."),
    MatchingError: _l("The encodings cannot be matched with each other."),
    EvaluationError: _l("Links and truth cannot be compared."),
    LinkageError: _l("The program cannot do this with what it was given."),
    KeyFileError: _l("The key file cannot be used. Ask the technician to look at it."),
    SignatureError: _l("A signature does not fit. Do not go on; tell the operator."),
    SealingError: _l(
        "The sealed secret cannot be opened: it was changed, or sealed to another key."
    ),
    SecretError: _l("The linkage secret cannot be used. Ask for it again."),
    AtRestError: _l(
        "What is stored encrypted cannot be read: it was changed, or the key is another."
    ),
    RequestSignatureError: _l("The request could not be signed. Check the key file and the clock."),
    KeysError: _l("The keys cannot be used for this."),
}

_BY_SLUG: Final[Mapping[str, object]] = {
    "bad-address": _l("The server's address is not right. Ask the technician to correct it."),
    "unreachable": _l("The server cannot be reached. Check the network, then try again."),
    "timeout": _l("The server does not answer. Try again in a few minutes."),
    "untrusted-server": _l("The server's certificate is not trusted. Stop; tell the operator."),
    "bad-answer": _l("The server's answer makes no sense. Try again, then tell the operator."),
    "unsigned": _l("The server did not accept the request's signature. Check the key file."),
    "bad-signature": _l("The server did not accept the request's signature. Check the key file."),
    "expired-signature": _l("The clock of this computer is wrong. Set it, then try again."),
    "replayed": _l("The server has seen this request before. Try again."),
    "bad-login": _l("Id, password and code do not belong together."),
    "bad-return": _l("The log-in service sent back what cannot be trusted."),
    "not-invited": _l("This account is not invited here."),
    "provider-away": _l("The log-in service does not answer. Try again later."),
    "no-session": _l("Nobody is logged in."),
    "forged": _l("The request does not come from a page of the server."),
    "forbidden": _l("Your office may not do this."),
    "second-person": _l("A second person is needed for this."),
    "not-found": _l("The server knows no such thing, or your office has no part in it."),
    "method-not-allowed": _l("The server does not know this request. Update the program."),
    "wrong-state": _l("The round's state does not allow this now. See what the round says."),
    "conflict": _l("The server has something else already. Load the page again, then look."),
    "not-signed": _l("Sign the terms first."),
    "not-reviewed": _l("The review has not been read yet."),
    "not-witnessed": _l("Too few witnesses have signed the log."),
    "no-confirmation": _l("The coordinating office has to sign first. Telephone it."),
    "wrong-offset": _l("The sending stopped somewhere else. Press the button again to go on."),
    "digest-mismatch": _l("Something was changed on its way. Nothing was done; try again."),
    "cut-off": _l("The connection broke. Press the button again to go on."),
    "too-large": _l("It is larger than the server takes. Tell the operator."),
    "invalid": _l("The server did not understand a value. Tell the operator."),
    "wrong-secret": _l("It was encoded with another secret. Fetch the right one, encode again."),
    "wrong-profile": _l("It was encoded by other rules than the terms. Encode again."),
    "bad-upload": _l("The encoded file was damaged. Encode and send again."),
    "too-many": _l("Too many requests. Wait a few minutes, then try again."),
    "internal": _l("The server failed; nothing was changed. Try again, then tell the operator."),
    "unavailable": _l("The server cannot do this now; nothing was changed. Try again in a minute."),
}  # fmt: skip

_UNKNOWN_REFUSAL: Final = _l("The server refused this. Tell the operator what stands below.")
_FAULT: Final = _l("Something in this program failed. Try again, then tell the technician.")
_BY_ERRNO: Final[Mapping[int, object]] = {
    errno.ENOSPC: _l("The disk is full. Make room on it, then try again."),
    errno.EACCES: _l("A file may not be opened. Close it in other programs, then try again."),
    errno.EPERM: _l("A file may not be opened. Close it in other programs, then try again."),
    errno.ENOENT: _l("A file is not there any more. Begin again with choosing the list."),
    errno.EROFS: _l("Nothing can be written to this disk. Ask the technician."),
}
_DISK: Final = _l("A file cannot be read or written. Look at the disk, then try again.")


def tell(error: BaseException) -> Told:
    """An error as a page shows it, in the reader's language."""
    if isinstance(error, ToldError):
        return Told(printable(str(error)))
    if isinstance(error, OSError) and not isinstance(error, ApiError):
        # The full text would hold the path.
        return Told(str(_BY_ERRNO.get(error.errno or 0, _DISK)))
    if not isinstance(error, ApiError | LinkageError | KeysError):
        return Told(str(_FAULT), type(error).__name__)
    request = error.request_id or "" if isinstance(error, ApiError) else ""
    original = printable(error.detail if isinstance(error, ApiError) else str(error))
    if current_language() == "en":
        return Told(original, request=request)
    return Told(_words(error), original, request)


def _words(error: ApiError | LinkageError | KeysError) -> str:
    if isinstance(error, ApiError):
        return str(_BY_SLUG.get(error.slug, _UNKNOWN_REFUSAL))
    if isinstance(error, LinkageError) and error.code in _BY_CODE:
        shown = {name: printable(str(value), 60) for name, value in error.parameters.items()}
        return str(_BY_CODE[error.code]) % shown
    return str(next(_BY_TYPE[kind] for kind in type(error).__mro__ if kind in _BY_TYPE))
