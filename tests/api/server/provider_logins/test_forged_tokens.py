"""Tokens that the provider never made, or made for somebody else."""

from typing import Any

import pytest

from tests.api.server.provider_logins.desk import Desk, shut_out
from tests.openid_provider import CLIENT_ID, RunningProvider

pytestmark = pytest.mark.process


class TestForgedTokens:
    @pytest.mark.parametrize(
        ("lies", "check"),
        [
            ({"sign": "none"}, "signature"),
            ({"sign": "cut-off"}, "signature"),
            ({"sign": "public-key-as-secret"}, "signature"),
            ({"sign": "client-secret"}, "signature"),
            ({"sign": "other-key"}, "signature"),
            ({"sign": "unknown-key"}, "signature"),
            ({"id_token": False}, "id-token"),
            ({"claims": {"iss": "http://127.0.0.1:1"}}, "claims"),
            ({"claims": {"iss": None}}, "claims"),
            ({"claims": {"aud": "another-server"}}, "claims"),
            ({"claims": {"aud": [CLIENT_ID, "another-server"]}}, "claims"),
            ({"claims": {"aud": [CLIENT_ID], "azp": "another-server"}}, "claims"),
            ({"claims": {"aud": ["another-server"], "azp": CLIENT_ID}}, "claims"),
            ({"claims": {"aud": None}}, "claims"),
            ({"claims": {"exp": 1_000_000_000}}, "claims"),
            ({"claims": {"exp": None}}, "claims"),
            ({"claims": {"exp": "never"}}, "claims"),
            ({"claims": {"iat": 9_000_000_000}}, "claims"),
            ({"claims": {"iat": None}}, "claims"),
            ({"claims": {"nbf": 9_000_000_000}}, "claims"),
            ({"claims": {"nonce": "of another login"}}, "claims"),
            ({"claims": {"nonce": None}}, "claims"),
            ({"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, "claims"),
            ({"claims": {"sub": None}}, "claims"),
            ({"claims": {"sub": ""}}, "claims"),
            ({"claims": {"sub": 5}}, "claims"),
            ({"claims": {"sub": "x" * 256}}, "claims"),
            ({"issuer": "http://127.0.0.1:1"}, "issuer"),
            ({"issuer": "-"}, "issuer"),
        ],
        ids=lambda value: repr(value)[:60],
    )
    def test_are_not_believed(
        self, unmoved: Desk, provider: RunningProvider, lies: dict[str, Any], check: str
    ) -> None:
        provider.lies(**lies)
        browser = unmoved.server.browser()
        shut_out(unmoved.comes_back(browser), "bad-return", check=check)
        assert unmoved.server.rows("sessions") == []
