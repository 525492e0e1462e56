"""The linkage secret that all offices of a project share [office only].

Whoever has it can look for a child's encoding, so it never gets onto a linkage server: what the
server sees of it are key confirmations, and blobs that only an office can open.
"""

import hmac
import re
import secrets
from pathlib import Path
from typing import Final, NoReturn

from keys import labels
from keys.cipher_suites import DEFAULT, CipherSuite
from keys.errors import SecretError
from keys.fingerprint import format_fingerprint
from keys.identity import PrivateIdentity, PublicIdentity
from keys.passphrase import PassphraseSource
from keys.sealing import LINKAGE_SECRET_PURPOSE, linkage_secret_context, open_sealed, seal
from keys.storage import read_private_file, write_private_file

SECRET_BYTES: Final = 32
ROUND_KEY_BYTES: Final = 32
OFFLINE_CONTEXT: Final = "offline"
MAX_EPOCH: Final = 1_000_000

_FILE_MARKER: Final = "tongqiao-linkage-secret-v1"
_CHECKSUM_BYTES: Final = 4
_CONFIRMATION_BYTES: Final = 16
_ID: Final = "[a-z0-9][a-z0-9-]{0,62}"
_PROJECT = re.compile(_ID)
_CONTEXT = re.compile(f"{_ID}/{_ID}|{OFFLINE_CONTEXT}")
_FILE = re.compile(rf"{_FILE_MARKER}:([0-9a-f]{{64}}):([0-9a-f]{{8}})\n?".encode("ascii"))


class LinkageSecret:
    """32 random bytes, of which each round and each purpose gets its own key.

    All of them are HKDF outputs (RFC 5869; SHA-256, or SM3 in rounds of suite ``gm``) under labels
    of their own, so none helps to find another, or the secret.  Neither shown nor pickled;
    comparing takes the same time always.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: bytes) -> None:
        if len(value) != SECRET_BYTES:
            raise SecretError("A linkage secret is 32 bytes long. Make one with 'secret new'.")
        self._value = bytes(value)

    def __repr__(self) -> str:
        return "LinkageSecret(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LinkageSecret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("linkage secrets are not copied or pickled")

    def round_key(self, context: str, suite: CipherSuite = DEFAULT) -> bytes:
        """The 32-byte key to encode with; context is ``PROJECT/ROUND`` or ``offline``.

        Args:
            context: what the key is for.
            suite: the one that the round's terms name: its hash derives the key.

        Raises:
            SecretError: the context is neither.
        """
        return self._derive(labels.SECRET_ROUND_KEY, ROUND_KEY_BYTES, context, suite)

    def key_confirmation(self, context: str, suite: CipherSuite = DEFAULT) -> str:
        """32 hex characters, equal for equal secrets, that reveal neither secret nor round key.

        Raises:
            SecretError: the context is neither ``PROJECT/ROUND`` nor ``offline``.
        """
        label = labels.SECRET_KEY_CONFIRMATION
        return self._derive(label, _CONFIRMATION_BYTES, context, suite).hex()

    @property
    def fingerprint(self) -> str:
        """Six groups of five digits, to compare by voice; they do not reveal the secret."""
        return format_fingerprint(self._expand(labels.SECRET_FINGERPRINT, 32))

    def _derive(self, label: bytes, n_bytes: int, context: str, suite: CipherSuite) -> bytes:
        if not _CONTEXT.fullmatch(context):
            raise SecretError(
                f"Keys are derived for PROJECT/ROUND or '{OFFLINE_CONTEXT}'. Check the names of "
                "project and round."
            )
        return self._expand(label + b"\x00" + context.encode("ascii"), n_bytes, suite)

    def _expand(self, info: bytes, n_bytes: int, suite: CipherSuite = DEFAULT) -> bytes:
        return suite.derive(self._value, salt=labels.SECRET_EXTRACT, info=info, n_bytes=n_bytes)

    def _checksum(self) -> str:
        return self._expand(labels.SECRET_CHECKSUM, _CHECKSUM_BYTES).hex()


def new_linkage_secret() -> LinkageSecret:
    """Make a secret from the system's random numbers."""
    return LinkageSecret(secrets.token_bytes(SECRET_BYTES))


def serialise_linkage_secret(secret: LinkageSecret) -> bytes:
    """One line of ASCII: version marker, secret, checksum.  This is the secret in the clear."""
    return f"{_FILE_MARKER}:{secret._value.hex()}:{secret._checksum()}\n".encode("ascii")


def parse_linkage_secret(data: bytes) -> LinkageSecret:
    """Parse what :func:`serialise_linkage_secret` wrote.

    Raises:
        SecretError: it is something else, or damaged.
    """
    match = _FILE.fullmatch(data)
    if match is None:
        raise SecretError(
            "That is no linkage secret of this program. Check which file it is; 'secret new' "
            "makes one, 'secret open' opens a sealed one."
        )
    secret = LinkageSecret(bytes.fromhex(match[1].decode("ascii")))
    if not hmac.compare_digest(secret._checksum().encode("ascii"), match[2]):
        raise SecretError(
            "The linkage secret is damaged: its checksum differs. Open the sealed one again, or "
            "restore the file from a backup."
        )
    return secret


def seal_linkage_secret(
    secret: LinkageSecret,
    *,
    recipient: PublicIdentity,
    sender: PrivateIdentity,
    project: str,
    epoch: int = 1,
) -> bytes:
    """Seal the secret of a project's epoch to one office.

    Raises:
        SecretError: recipient or sender is no office, or project or epoch not well formed.
        SealingError: the recipient's key is not usable.
    """
    if recipient.kind != "office" or sender.public.kind != "office":
        # An operator who had it could read what the server holds.
        raise SecretError(
            "Only offices may have the linkage secret. Give the public identity of an office."
        )
    return seal(
        serialise_linkage_secret(secret),
        recipient=recipient,
        sender=sender,
        purpose=LINKAGE_SECRET_PURPOSE,
        context=_sealing_context(project, epoch, recipient),
    )


def open_linkage_secret(
    blob: bytes,
    *,
    recipient: PrivateIdentity,
    sender: PublicIdentity,
    project: str,
    epoch: int = 1,
) -> LinkageSecret:
    """Open what :func:`seal_linkage_secret` made, after verifying that this office sealed it.

    Raises:
        SecretError: the sender is no office, or what was sealed is no linkage secret.
        SealingError: altered, or for another office, project or epoch, or from another sender.
    """
    if sender.kind != "office":
        raise SecretError("Only an office makes a linkage secret. Check who sent this one.")
    plaintext = open_sealed(
        blob,
        recipient=recipient,
        sender=sender,
        purpose=LINKAGE_SECRET_PURPOSE,
        context=_sealing_context(project, epoch, recipient.public),
    )
    return parse_linkage_secret(plaintext)


def _sealing_context(project: str, epoch: int, recipient: PublicIdentity) -> dict[str, str]:
    if not _PROJECT.fullmatch(project):
        raise SecretError("The project's id must be small letters, digits and hyphens, at most 63.")
    if not 1 <= epoch <= MAX_EPOCH:
        raise SecretError(f"The epoch must be a whole number from 1 to {MAX_EPOCH}.")
    return linkage_secret_context(project, epoch, recipient.holder)


def save_linkage_secret(secret: LinkageSecret, path: Path) -> None:
    """Write the secret to a file that only its owner can read; an existing file stays.

    Raises:
        KeyFileError: the file exists.
        OSError: the folder cannot be written.
    """
    write_private_file(path, serialise_linkage_secret(secret))


def load_linkage_secret(path: Path, passphrase: PassphraseSource | None = None) -> LinkageSecret:
    """Load a secret file; ``passphrase`` is asked if it is protected by one.

    Raises:
        KeyFileError: others may read the file, or the passphrase is another.
        SecretError: it holds no secret, or a damaged one.
        OSError: it cannot be read.
    """
    return parse_linkage_secret(read_private_file(path, passphrase))
