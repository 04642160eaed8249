"""Documents to passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_server.knowledge.documents import LONGEST, DocumentError, cut, passages


def pdf(text: str) -> bytes:
    """A PDF file of one page."""
    content = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    file, offsets = b"%PDF-1.4\n", []
    for i, each in enumerate(objects, 1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (i, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size, start = len(objects) + 1, len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return file + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (size, start)


def test_markdown_is_cut_at_its_headings(tmp_path: Path) -> None:
    file = tmp_path / "handbook.md"
    file.write_text(
        "Before all.\n\n# Shop\nWe sell bread.\n\n"
        "## Hours ##\nNine to five.\n\n```\n# no heading\n```\n\n# Staff\nMara.\n"
    )
    assert [(p.title, p.text) for p in passages(file)] == [
        ("", "Before all."),
        ("Shop", "We sell bread."),
        ("Shop › Hours", "Nine to five. ``` # no heading ```"),
        ("Staff", "Mara."),
    ]


def test_long_text_is_cut_between_sentences_and_nothing_is_lost() -> None:
    text = " ".join(f"This is sentence number {i}." for i in range(200)) + "\n\nA paragraph.\n\n" + "x" * 2000
    pieces = list(cut(text))
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece.endswith(".") for piece in pieces[:5])


def test_a_pdf_gives_its_pages(tmp_path: Path) -> None:
    file = tmp_path / "leaflet.pdf"
    file.write_bytes(pdf("The museum is free on Sundays."))
    assert [(p.title, p.text) for p in passages(file)] == [("page 1", "The museum is free on Sundays.")]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"\xff\xfe\x00", "it is not UTF-8 text"),
        ("leaflet.pdf", b"hello", "it is no PDF that can be read"),
        ("leaflet.pdf", pdf("x")[:300], "it is no PDF that can be read"),
        ("gone.md", None, "No such file"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DocumentError, match=reason):
        passages(file)
