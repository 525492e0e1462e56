"""Make ``vectors.json`` anew: ``python tests/vectors/at_rest/generate.py`` (``PROVENANCE.md``)."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any
from unittest import mock

from keys.at_rest import StoredHeader, encrypt_stream
from keys.cipher_suites import DEFAULT, GM, CipherSuite
from keys.installation_key import InstallationKey

_SIZES = (0, 5, 65_536, 65_539)


def _seed(name: str, n_bytes: int = 32) -> bytes:
    """A key that everybody knows: for tests alone."""
    return hashlib.sha256(f"tongqiao test vector: {name}".encode()).digest()[:n_bytes]


def _file(suite: CipherSuite, n_bytes: int) -> dict[str, Any]:
    plaintext = bytes(index % 251 for index in range(n_bytes))
    context = f"2026-h2/{hashlib.sha256(plaintext).hexdigest()}"
    key, salt = _seed("data key"), _seed(f"salt {suite.name} {n_bytes}")
    target = io.BytesIO()
    header = StoredHeader(suite, n_bytes, salt)
    encrypt_stream(io.BytesIO(plaintext), target, data_key=key, header=header, context=context)
    stored = target.getvalue()
    vector = {
        "suite": suite.name,
        "data_key": key.hex(),
        "context": context,
        "plaintext_bytes": n_bytes,
        "stored_bytes": len(stored),
        "stored_sha256": hashlib.sha256(stored).hexdigest(),
    }
    return vector | ({"stored": stored.hex()} if len(stored) < 1000 else {"salt": salt.hex()})


def _wrapped(suite: CipherSuite) -> dict[str, Any]:
    key = InstallationKey(_seed("installation key"))
    nonce = _seed(f"nonce {suite.name}", 12)
    with mock.patch("keys.installation_key.secrets.token_bytes", return_value=nonce):
        wrapped = key.wrap(_seed("data key"), suite=suite, context="2026-h2")
    return {
        "suite": suite.name,
        "installation_key": key.to_bytes().decode("ascii"),
        "context": "2026-h2",
        "data_key": _seed("data key").hex(),
        "wrapped": wrapped.hex(),
    }


if __name__ == "__main__":
    vectors = {
        "files": [_file(suite, n_bytes) for suite in (DEFAULT, GM) for n_bytes in _SIZES],
        "wrapped": [_wrapped(suite) for suite in (DEFAULT, GM)],
    }
    text = json.dumps(vectors, indent=1, sort_keys=True) + "\n"
    Path(__file__).with_name("vectors.json").write_text(text, encoding="utf-8")
