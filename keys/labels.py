"""Every domain-separation string, so that nothing made for one purpose is taken for another.

A label is followed by a zero byte and no label holds one, so no label with its data can equal
another label with other data.  What RFC 9421 signs begins with a quotation mark and no label
does, so a signed request is never a signed document.
"""

IDENTITY = b"tongqiao/v1/public-identity"
"""Signed: a public identity, with its own key."""

IDENTITY_FINGERPRINT = b"tongqiao/v1/public-identity-fingerprint"
"""Hashed: what people compare before they trust an identity."""

TERMS = b"tongqiao/v1/round-terms"
"""Signed: the RFC 8785 form of a round's terms."""

SEALED = b"tongqiao/v1/sealed"
"""Signed: a sealed blob, by its sender."""

SEALING_INFO = b"tongqiao/v1/sealing-info"
"""The ``info`` of HPKE (RFC 9180, section 5.1)."""

SECRET_EXTRACT = b"tongqiao/v1/linkage-secret"
"""Salt of HKDF-Extract (RFC 5869, section 2.2) over the linkage secret."""

SECRET_ROUND_KEY = b"tongqiao/v1/round-key"
"""Info of HKDF-Expand: the key that a round's encoding uses."""

SECRET_KEY_CONFIRMATION = b"tongqiao/v1/key-confirmation"
"""Info of HKDF-Expand: what a server compares to find a wrong secret."""

SECRET_FINGERPRINT = b"tongqiao/v1/linkage-secret-fingerprint"
"""Info of HKDF-Expand: what people compare to find a wrong secret."""

SECRET_CHECKSUM = b"tongqiao/v1/linkage-secret-checksum"
"""Info of HKDF-Expand: what finds a damaged secret file; it never leaves the file."""

CSRF = b"tongqiao/v1/csrf"
"""Message of HMAC under a session's token: what a page sends along with what changes something."""

AT_REST_FILE = b"tongqiao/v1/at-rest-file"
"""Info of HKDF-Expand: key and nonce prefix of one encrypted file."""

AT_REST_WRAP = b"tongqiao/v1/at-rest-wrap"
"""Info of HKDF-Expand: what wraps a round's data key."""

AT_REST_CHECKSUM = b"tongqiao/v1/at-rest-checksum"
"""Info of HKDF-Expand: what finds a damaged installation key file; it never leaves the file."""

PROTECTED_FILE = b"tongqiao/v1/protected-file"
"""Additional data of a private file that is encrypted under a passphrase."""

KEY_ROTATION = b"tongqiao/v1/key-rotation"
"""Signed: that a new identity takes the place of an old one, by the old one's key."""

LOG_EXPORT = b"tongqiao/v1/log-export"
"""Signed: the manifest of an export of the access log, by the log's key."""
