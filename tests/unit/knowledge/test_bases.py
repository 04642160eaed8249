"""Knowledge bases on the disk: whatever a document's path is, it stays in its base, apart from all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_server.knowledge import Bases
from media_server.knowledge import bases as module

USUAL = ["help/returns.md", "shop.txt", "a b/Ärger & Freude.markdown", "_tap-manifest.json"]
ODD = [
    "../help/returns.md", "/etc/passwd", "..", ".", "./shop.txt", "help//returns.md", ".hidden.md", ".base.json",
    "notes", "notes.txt", "notes%.txt", "a\\b.md", "%2Ehidden.md", "page.html", "README.MD", "x\x00y.md",
    "é" * 200 + ".md", "é" * 201 + ".md", " ", "a/", "report.pdf",
]  # fmt: skip


def test_documents_are_kept_apart_by_their_paths(tmp_path: Path) -> None:
    bases = Bases(tmp_path / "bases")
    made = bases.create("", "Help", "")
    for path in USUAL + ODD:
        base = bases.get("", made.id)
        assert base
        bases.put(base, path, "", f"text of {path}")
    base = bases.get("", made.id)
    assert base
    assert {d.path: d.file.read_text() for d in base.documents} == {path: f"text of {path}" for path in USUAL + ODD}
    assert len({d.id for d in base.documents}) == len(USUAL + ODD)
    root = base.folder.resolve()
    for each in base.documents:
        assert each.file.resolve().is_relative_to(root)
        assert each.size == len(f"text of {each.path}".encode())
        inside = each.file.relative_to(base.folder)
        assert not any(part.startswith(".") for part in inside.parts), "hidden files are not indexed"
        if each.path in USUAL:
            assert inside.as_posix() == each.path
    assert [p.name for p in tmp_path.iterdir()] == ["bases"]


def test_a_document_of_the_same_path_is_replaced(tmp_path: Path) -> None:
    bases = Bases(tmp_path)
    made = bases.create("", "Help", "all of it")
    first = bases.put(made, "a.md", "", "one")
    base = bases.get("", made.id)
    assert base
    second = bases.put(base, "a.md", "The title", "two")
    assert first.id == second.id
    base = bases.get("", made.id)
    assert base
    assert [(d.title, d.file.read_text()) for d in base.documents] == [("The title", "two")]
    bases.remove(base, base.documents[0])
    base = bases.get("", made.id)
    assert base is not None
    assert base.documents == ()
    assert (base.name, base.description) == ("Help", "all of it")


@pytest.mark.parametrize(("first", "second"), [("a.md", "a.md/b.md"), ("a.md/b.md", "a.md")])
def test_a_document_is_no_folder(tmp_path: Path, first: str, second: str) -> None:
    bases = Bases(tmp_path)
    made = bases.create("", "Help", "")
    bases.put(made, first, "", "one")
    base = bases.get("", made.id)
    assert base
    with pytest.raises(ValueError, match="path"):
        bases.put(base, second, "", "two")
    assert not [p for p in base.folder.rglob(".*") if p.name != ".base.json"], "nothing is left behind"


@pytest.mark.parametrize("base_id", ["", ".", "..", "kb_1", "../acme/kb_000000000000", "kb_00000000000g", "operator.s"])
def test_nothing_else_is_a_base(tmp_path: Path, base_id: str) -> None:
    bases = Bases(tmp_path)
    bases.create("acme", "Help", "")
    assert bases.get("", base_id) is None
    assert bases.folder("", base_id) is None


def test_bases_are_their_tenants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bases = Bases(tmp_path)
    theirs = bases.create("acme", "Theirs", "")
    mine = bases.create("", "Mine", "")
    assert bases.get("", theirs.id) is None
    assert bases.get("acme", mine.id) is None
    assert [b.id for b in bases.all("acme")] == [theirs.id]
    monkeypatch.setattr(module, "MAX_BASES", 1)
    with pytest.raises(ValueError, match="as many"):
        bases.create("", "Another", "")
    monkeypatch.setattr(module, "MAX_DOCUMENTS", 1)
    bases.put(mine, "a.md", "", "one")
    read = bases.get("", mine.id)
    assert read
    with pytest.raises(ValueError, match="as many"):
        bases.put(read, "b.md", "", "two")
    bases.delete(read)
    assert bases.all("") == []
