"""Forms are read as other programs write them, in pieces of any size, at a cost that grows with their length alone."""

from __future__ import annotations

import time

import pytest
from aiohttp import FormData
from hypothesis import given
from hypothesis import strategies as st

from media_server.http.multipart import FormParser, Part, boundary_of


def read(body: bytes, boundary: bytes = b"XX", size: int = 1 << 16) -> list[tuple[str, bytes]]:
    """The parts of a form that comes in pieces of this size."""
    form = FormParser(boundary)
    parts: list[tuple[str, bytes]] = []
    for at in range(0, len(body), size):
        for item in form.feed(body[at : at + size]):
            if isinstance(item, Part):
                parts.append((item.name, b""))
            else:
                parts[-1] = (parts[-1][0], parts[-1][1] + item)
    assert form.complete
    return parts


def written(*fields: tuple[str, bytes]) -> bytes:
    heads = (b'--XX\r\nContent-Disposition: form-data; name="%s"\r\n\r\n' % name.encode() for name, _ in fields)
    return b"".join(head + value + b"\r\n" for head, (_, value) in zip(heads, fields, strict=True)) + b"--XX--\r\n"


CONTENT = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"\r", b"\n", b"--", b"X", b"--X", b"\r\n--X", b"-"]), max_size=20).map(b"".join),
)


@given(st.lists(st.tuples(st.sampled_from(["file", "language", "a b"]), CONTENT), max_size=4), st.integers(1, 40))
def test_what_was_written_is_read_in_pieces_of_any_size(fields: list[tuple[str, bytes]], size: int) -> None:
    if fields and not any(b"\r\n--XX" in b"\r\n" + value for _, value in fields):
        assert read(written(*fields), size=size) == fields


async def test_a_form_of_another_program_is_read() -> None:
    form = FormData()
    form.add_field("language", "en")
    form.add_field("file", b"\x00\r\n\xff", filename="a.wav", content_type="audio/wav")
    payload = form()
    assert read(await payload.as_bytes(), boundary_of(payload.content_type)) == [
        ("language", b"en"),
        ("file", b"\x00\r\n\xff"),
    ]


@pytest.mark.parametrize(
    "odd",
    [b"\r\n", b"\n", b"\r\n--X", b"--XX", b"-", b"--XX\r\n\r\n"],
    ids=["lines", "line feeds", "nearly ends", "boundaries", "dashes", "parts"],
)
def test_whatever_a_form_is_filled_with_it_takes_little_time(odd: bytes) -> None:
    form, began = FormParser(b"XX"), time.process_time()
    body = written(("file", odd * (1_000_000 // len(odd))))
    for at in range(0, len(body), 1 << 16):
        try:
            for _ in form.feed(body[at : at + (1 << 16)]):
                pass
        except ValueError:
            break
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\r\n" * 1000, "begin with its boundary"),
        (b"preamble\r\n--XX\r\n\r\n\r\n--XX--", "begin with its boundary"),
        (b"--XX\r\n" + b"A: b\r\n" * 5000, "has more than 8192 bytes"),
        (b"--XX\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n", "another form"),
        (b"--XXY\r\n", "something else"),
        (written(("a", b"b")) + b"\n" * 5000, "after its end"),
    ],
)
def test_a_form_that_is_none_is_refused_with_a_reason(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(body)


@pytest.mark.parametrize("cut", range(len(written(("file", b"abc"))) - 4))
def test_a_form_that_is_cut_is_not_complete(cut: int) -> None:
    form = FormParser(b"XX")
    list(form.feed(written(("file", b"abc"))[:cut]))
    assert not form.complete


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=XX", b"XX"),
        ('multipart/form-data; charset=utf-8; BOUNDARY="a b"', b"a b"),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ],
)
def test_boundaries_are_found(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("content_type", ["", "; boundary=", "; boundary=" + "X" * 71, "; boundary=é", '; boundary="'])
def test_a_form_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        boundary_of("multipart/form-data" + content_type)
