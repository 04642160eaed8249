from __future__ import annotations

import pytest

from media_server.addresses import subscriber_of


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
