"""Terms as the server hands them out, invented."""

from copy import deepcopy
from typing import Any

PROFILE_SHA256 = "ab" * 32

_TERMS: dict[str, Any] = {
    "format": "tongqiao-terms-v2",
    "project": "sichuan-children",
    "round": "2026-h2",
    "purpose": "Find children that no service reaches.",
    "coordinating_office": "province-coordination",
    "secret_epoch": 1,
    "members": [
        {"office": "jinjiang-civil", "role": "residence-civil-affairs"},
        {"office": "zhongjiang-civil", "role": "origin-civil-affairs"},
        {"office": "chengdu-education", "role": "education"},
    ],
    "profile": {"name": "cn-child-v1", "sha256": PROFILE_SHA256},
    "cleaning": "cn-2",
    "visibility": "all",
    "solve": "groups",
    "threshold": "auto",
    "retention_days": 180,
    "max_records": 2_000_000,
    "min_witnesses": 0,
}


def example_terms(**changes: Any) -> dict[str, Any]:
    """A fresh copy of the terms, with some keys replaced."""
    return {**deepcopy(_TERMS), **changes}
