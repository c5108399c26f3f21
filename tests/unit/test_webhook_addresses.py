"""Where a webhook may go, and where never."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transactions.webhooks.addresses import is_public, target_of
from transactions.webhooks.errors import AddressRefused

OWN = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2001:db8::1",
    "3fff::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", OWN)
def test_nobodys_own_network_is_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_the_open_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_no_address_is_public_through_an_ipv6_form_of_it(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = (0xFFFF << 32 | number, number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80)
    assert not any(is_public(ipaddress.IPv6Address(form)) for form in forms)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/hooks", "scheme"),
        ("ftp://example.com/", "url"),
        ("file:///etc/passwd", "url"),
        ("https://", "url"),
        ("https:///path", "host"),
        ("//example.com/", "url"),
        ("https://user:secret@example.com/", "credentials"),
        ("https://@example.com/", "credentials"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com:22/", "port"),
        ("https://example.com:0/", "port"),
        ("https://example.com:99999/", "url"),
        ("https://exa mple.com/", "url"),
        ("https://example.com/\r\nHost: other", "url"),
        ("https://ex\u00e4mple.com/", "url"),
        ("https://-example.com/", "host"),
        ("https://exam%70le.com/", "host"),
        ("https://[::1/", "url"),
        ("https://example.com/" + "a" * 2048, "url"),
    ],
)
def test_what_is_no_address_for_a_webhook_is_refused_with_its_reason(url: str, code: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        target_of(url, private_allowed=False)
    assert refused.value.code == code


def test_a_url_is_taken_apart_for_resolving_connecting_and_asking() -> None:
    target = target_of("HTTPS://Hooks.Example.com:8443/in?shop=7", private_allowed=False)

    assert (target.scheme, target.host, target.port) == ("https", "hooks.example.com", 8443)
    assert (target.authority, target.path) == ("hooks.example.com:8443", "/in?shop=7")
    assert target_of("https://[2606:2800::1]", private_allowed=False).authority == "[2606:2800::1]"


@given(st.text(max_size=40), st.booleans())
def test_no_text_breaks_it(text: str, private_allowed: bool) -> None:  # noqa: FBT001
    for url in (text, f"https://{text}", f"https://example.com{text}"):
        try:
            target = target_of(url, private_allowed=private_allowed)
        except AddressRefused:
            continue
        assert target.port in (80, 443) or 1024 <= target.port < 65536
