from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.agents.origins import check_pattern, matches, parse_host


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (
            "https://site.com",
            ["https://site.com", "https://site.com:443", "HTTPS://Site.COM"],
            [
                "http://site.com",
                "https://site.com:444",
                "https://a.site.com",
                "https://site.com.evil.com",
                "null",
                "",
                "https://site.com.",
                "https://user@site.com",
                "https://site.com@evil.com",
                "https://site.com/",
                "https://site.com\t",
                "https://si\tte.com",
                " https://site.com",
                "https://site.com\n",
                "https://site.com:",
                "https://\u017fite.com",
                "https://site.com:\u0664\u0664\u0663",
                "https://site.com:65979",
                "https:site.com",
            ],
        ),
        (
            "https://*.site.com",
            ["https://a.site.com", "https://a.b.site.com"],
            [
                "https://site.com",
                "https://evilsite.com",
                "https://a.site.com.evil.com",
                "https://.site.com",
                "https://a..site.com",
                "https://..site.com",
                "https://a.site.com.",
                "https://a.site.com:444",
            ],
        ),
        (
            "http://localhost:*",
            ["http://localhost:3000", "http://localhost", "http://localhost:80"],
            [
                "https://localhost:3000",
                "http://localhost.evil.com:3000",
                "http://localhost:99999",
                "http://localhost:*",
            ],
        ),
        ("http://[::1]:8080", ["http://[::1]:8080", "http://[0:0::1]:8080"], ["http://[::1]", "http://[::2]:8080"]),
        ("https://kiosk.com", ["https://kiosk.com"], ["https://\u212aiosk.com"]),
    ],
)
def test_a_pattern_means_these_origins_and_no_others(pattern: str, yes: list[str], no: list[str]) -> None:
    assert check_pattern(pattern) == pattern
    assert [o for o in yes if not matches(o, pattern)] == []
    assert [o for o in no if matches(o, pattern)] == []
    assert not matches(None, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "https://*",
        "*.site.com",
        "https://a.*.com",
        "https://site.com/",
        "ftp://site.com",
        "null",
        "",
        "https://site.com:99999",
        "https://a..com",
        "https://user@site.com",
        "https://site.com\t",
        "https://*.10.0.0.1",
        "https://[::1",
        "https://[1]",
        "https://b\u00fccher..example",
    ],
)
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        check_pattern(pattern)


def test_international_names_are_compared_as_browsers_send_them() -> None:
    assert check_pattern("https://*.b\u00fccher.example:8443") == "https://*.xn--bcher-kva.example:8443"
    assert matches("https://xn--bcher-kva.example", "https://b\u00fccher.example")
    assert not matches("https://b\u00fccher.example", "https://b\u00fccher.example"), "no browser sends it so"


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", ("localhost", None)), ("LOCALHOST:8080", ("localhost", 8080)), ("[::1]:1", ("[::1]", 1)),
        ("[0:0::1]", ("[::1]", None)), ("192.168.1.2:80", ("192.168.1.2", 80)), ("a.b.", ("a.b.", None)),
        ("", None), ("a b", None), ("a:b", None), ("a:1:2", None), ("user@localhost", None), ("[::1", None),
        ("localhost:99999", None), ("localhost/", None), ("a..b", None), (".a", None),
    ],
)  # fmt: skip
def test_a_host_header_is_read_as_it_is_or_not_at_all(header: str, host: tuple[str, int | None] | None) -> None:
    assert parse_host(header) == host


@given(st.text(alphabet="htps:/*.ae0[]-", max_size=30), st.sampled_from(["https://*.a.e", "http://a:*", "https://a"]))
def test_no_origin_that_is_none_ever_matches(origin: str, pattern: str) -> None:
    if matches(origin, pattern):
        assert "*" not in origin
        assert origin.startswith(pattern.split("://")[0] + "://")
