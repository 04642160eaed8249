from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.agents.origins import check_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (
            "https://site.com",
            ["https://site.com", "https://site.com:443", "HTTPS://Site.COM"],
            ["http://site.com", "https://site.com:444", "https://a.site.com", "https://site.com.evil.com", "null", ""],
        ),
        (
            "https://*.site.com",
            ["https://a.site.com", "https://a.b.site.com"],
            ["https://site.com", "https://evilsite.com", "https://a.site.com.evil.com", "https://.site.com"],
        ),
        (
            "http://localhost:*",
            ["http://localhost:3000", "http://localhost", "http://localhost:80"],
            ["https://localhost:3000", "http://localhost.evil.com:3000"],
        ),
        ("http://[::1]:8080", ["http://[::1]:8080"], ["http://[::1]"]),
    ],
)
def test_a_pattern_means_these_origins_and_no_others(pattern: str, yes: list[str], no: list[str]) -> None:
    assert check_pattern(pattern) == pattern
    assert [o for o in yes if not matches(o, pattern)] == []
    assert [o for o in no if matches(o, pattern)] == []
    assert not matches(None, pattern)


@pytest.mark.parametrize(
    "pattern", ["*", "https://*", "*.site.com", "https://a.*.com", "https://site.com/", "ftp://site.com", "null", ""]
)
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        check_pattern(pattern)


@given(st.text(alphabet="htps:/*.ae0[]-", max_size=30), st.sampled_from(["https://*.a.e", "http://a:*", "https://a"]))
def test_no_origin_that_is_none_ever_matches(origin: str, pattern: str) -> None:
    if matches(origin, pattern):
        assert "*" not in origin
        assert origin.startswith(pattern.split("://")[0] + "://")
