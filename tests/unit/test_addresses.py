from __future__ import annotations

import pytest

from media_server.addresses import is_own_address, own_addresses, subscriber_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_whose_an_address_is(one: str, other: str, same: bool) -> None:
    assert (subscriber_of(one) == subscriber_of(other)) is same


def test_what_is_no_address_is_nobodys() -> None:
    assert subscriber_of("") == subscriber_of("somewhere") == ""


@pytest.mark.parametrize(
    ("host", "reached", "own"),
    [
        ("127.0.0.1", "", True),
        ("[::1]", "", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("[fe80::1]", "fe80::1%eth0", True),
        ("192.0.2.8", "192.0.2.7", False),
        ("0.0.0.0", "127.0.0.1", False),
        ("localhost", "127.0.0.1", False),
        ("", "", False),
    ],
)
def test_which_addresses_are_this_machines(host: str, reached: str, own: bool) -> None:
    assert is_own_address(host, reached) is own


def test_interfaces_have_this_machines_addresses() -> None:
    # a proxy on this machine reaches the server by loopback
    assert all(is_own_address(address, "127.0.0.1") for address in own_addresses())
