"""Knowledge bases: folders of documents that clients fill, each with an id."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_server.knowledge.documents import SUFFIXES
from media_server.private import private_folder

__all__ = ["Base", "Bases", "Document"]

ABOUT = ".base.json"
"""The file with what is known of a base and its documents; hidden files are not indexed."""
MAX_BASES = 1000
"""Maximum bases of a tenant."""
MAX_DOCUMENTS = 10_000
"""Maximum documents of a base."""
MAX_PART = 150
"""Bytes of a file's name; what is longer is cut, and told apart by a hash."""
TEXTS = SUFFIXES - {".pdf"}
_ID = re.compile(r"kb_[0-9a-f]{12}")
KEPT_AS_THEY_ARE = TEXTS | {".json"}
"""Endings of files that are text, or are not indexed; text of any other name is stored as `.txt`."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a base; `path` is its identity there."""

    id: str
    path: str
    title: str
    size: int
    """Bytes of its text in UTF-8."""
    file: Path


@dataclass(frozen=True, slots=True)
class Base:
    """A knowledge base."""

    id: str
    name: str
    description: str
    folder: Path
    documents: tuple[Document, ...] = ()

    def document(self, document_id: str) -> Document | None:
        return next((each for each in self.documents if each.id == document_id), None)


class Bases:
    """All bases below a directory, those of each tenant in a folder of its own. Everything blocks for a moment.

    Raises:
        OSError: from every method: the directory cannot be read or written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def all(self, tenant: str) -> list[Base]:
        """The tenant's bases, by their names."""
        here = self._of(tenant)
        folders = sorted(here.iterdir()) if here.is_dir() else []
        found = [_read(folder) for folder in folders if (folder / ABOUT).is_file()]
        return sorted(found, key=lambda base: (base.name, base.id))

    def get(self, tenant: str, base_id: str) -> Base | None:
        """The tenant's base of this id."""
        folder = self.folder(tenant, base_id)
        return _read(folder) if folder else None

    def folder(self, tenant: str, base_id: str) -> Path | None:
        """The folder of the tenant's base of this id."""
        folder = self._of(tenant) / base_id
        return folder if _ID.fullmatch(base_id) and (folder / ABOUT).is_file() else None

    def create(self, tenant: str, name: str, description: str) -> Base:
        """A new base without documents.

        Raises:
            ValueError: the tenant has as many as it may have.
        """
        if len(self.all(tenant)) >= MAX_BASES:
            raise ValueError(f"there are {MAX_BASES} knowledge bases, as many as there may be")
        base_id = f"kb_{secrets.token_hex(6)}"
        base = Base(base_id, name, description, self._of(tenant) / base_id)
        private_folder(base.folder)
        _write(base)
        return base

    def delete(self, base: Base) -> None:
        """Delete a base with its documents."""
        shutil.rmtree(base.folder)

    def put(self, base: Base, path: str, title: str, text: str) -> Document:
        """Add a document, or replace the one of this path.

        Raises:
            ValueError: the base has as many as it may have, or the path cannot be stored beside those that there are.
        """
        others = tuple(each for each in base.documents if each.path != path)
        if len(others) >= MAX_DOCUMENTS:
            raise ValueError(f"the knowledge base has {MAX_DOCUMENTS} documents, as many as there may be")
        file = base.folder / _file_name(path)
        document_id = hashlib.sha256(path.encode()).hexdigest()[:24]
        made = Document(document_id, path, title or Path(path).stem, len(text.encode()), file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            new = base.folder / f".{secrets.token_hex(4)}.new"
            try:
                new.write_text(text, encoding="utf-8")
                new.replace(file)
            finally:
                new.unlink(missing_ok=True)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ValueError(f"path: {path!r} is a folder of other documents, or within a document") from None
        _write(Base(base.id, base.name, base.description, base.folder, (*others, made)))
        return made

    def remove(self, base: Base, document: Document) -> None:
        """Delete a document."""
        document.file.unlink(missing_ok=True)
        others = tuple(each for each in base.documents if each.id != document.id)
        _write(Base(base.id, base.name, base.description, base.folder, others))

    def _of(self, tenant: str) -> Path:
        # the operator's own have no tenant; no tenant's name has a dot
        return self._directory / (tenant or "operator.s")


def _read(folder: Path) -> Base:
    about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    documents = tuple(
        Document(each["id"], each["path"], each["title"], each["size"], folder / _file_name(each["path"]))
        for each in about["documents"]
    )
    return Base(folder.name, about["name"], about["description"], folder, documents)


def _write(base: Base) -> None:
    documents = [{"id": d.id, "path": d.path, "title": d.title, "size": d.size} for d in base.documents]
    about = {"name": base.name, "description": base.description, "documents": documents}
    new = base.folder / f"{ABOUT}.new"
    new.write_text(json.dumps(about), encoding="utf-8")
    new.replace(base.folder / ABOUT)


def _file_name(path: str) -> str:
    """Where in its base's folder a document is; a usual path is kept, and none leads out of it."""
    name = "/".join(_safe(part) for part in path.split("/"))
    # no other path has a lone `%`
    return name if Path(name).suffix in KEPT_AS_THEY_ARE else f"{name}%.txt"


def _safe(part: str) -> str:
    plain = re.sub(r"[%\\\x00-\x1f\x7f]|^\.", lambda m: f"%{ord(m[0]):02X}", part) or "%"
    if len(plain.encode()) <= MAX_PART:
        return plain
    suffix = Path(part).suffix if Path(part).suffix in KEPT_AS_THEY_ARE else ""
    short = plain.encode()[:MAX_PART].decode(errors="ignore")
    return f"{short}%{hashlib.sha256(part.encode()).hexdigest()[:12]}{suffix}"
