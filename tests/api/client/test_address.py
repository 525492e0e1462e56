import pytest

from api.client.address import parse_server_address


@pytest.mark.parametrize(
    ("text", "origin", "host", "loopback"),
    [
        ("https://a.example.org", "https://a.example.org", "a.example.org", False),
        ("https://Linkage.Example.org:8470/", "https://linkage.example.org:8470",
         "linkage.example.org:8470", False),
        ("http://127.0.0.1:8470", "http://127.0.0.1:8470", "127.0.0.1:8470", True),
        ("http://127.8.9.10", "http://127.8.9.10", "127.8.9.10", True),
        ("http://localhost:1", "http://localhost:1", "localhost:1", True),
        ("http://[::1]:8470", "http://[::1]:8470", "[::1]:8470", True),
        ("  https://10.0.0.1 ", "https://10.0.0.1", "10.0.0.1", False),
    ],
)  # fmt: skip
def test_addresses_that_are_taken(text: str, origin: str, host: str, loopback: bool) -> None:
    address = parse_server_address(text)
    assert (address.origin, address.host, address.loopback) == (origin, host, loopback)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linkage.example.org",
        "ftp://linkage.example.org",
        "file:///etc/passwd",
        "https://",
        "https://:443",
        "https://host:notaport",
        "https://host:99999",
        "https://user@host",
        "https://user:word@host",
        "https://host/api",
        "https://host/?a=b",
        "https://host/#a",
        "https://[::1",
        "https://a b",
        "https://主机",
        "https://host\x1b[31m",
    ],
)
def test_what_is_no_address_of_a_server(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        parse_server_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://linkage.example.org",
        "http://10.0.0.1:8470",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://0.0.0.0:8470",
        "http://[::2]",
    ],
)
def test_plain_http_to_another_machine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="only for a server on this machine"):
        parse_server_address(text)
