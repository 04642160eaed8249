"""A pack made of models of the catalogue: which, where their files go, and its manifest."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from media_server.packs.catalogue import Catalogue, CatalogueError, Model, PinnedFile, Recipe
from media_server.packs.writing import manifest_text

__all__ = ["Composition", "Wishes", "compose"]

FOLDERS = {"stt": "stt", "llm": "chat", "tts": "voice", "voices": "voice", "embedding": "embedding", "turn": "turn"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """Models other than the recipe's, by their ids or parts of them; `none` leaves one out."""

    stt: str | None = None
    llm: str | None = None
    voices: Sequence[str] = ()
    embedding: str | None = None
    turn: str | None = None
    language: str | None = None
    """What callers speak; found out by the recogniser where it is not given."""


@dataclass(frozen=True, slots=True)
class Composition:
    """A pack that can be fetched."""

    name: str
    recipe: Recipe
    members: Sequence[tuple[str, Model]]
    language: str | None

    @property
    def size(self) -> int:
        return sum(f.size for f in self.files().values())

    def files(self) -> dict[str, PinnedFile]:
        """What each path in the pack has to be."""
        return {path: file for path, _, file in self.places()}

    def places(self) -> list[tuple[str, Model, PinnedFile]]:
        """Each path in the pack, and which file of which model belongs there."""
        return [(_path(part, f), model, f) for part, model in self.members for f in model.files]

    @property
    def revision(self) -> str:
        """A name of all that was chosen and of every file's checksum."""
        files = [f"{path} {f.sha256 or f.md5}" for path, f in self.files().items()]
        return hashlib.sha256("\n".join([repr(self._tables()), *files]).encode()).hexdigest()[:12]

    def manifest(self, sha256: Mapping[str, str]) -> str:
        """The text of `pack.toml`, when the SHA-256 of each path is known."""
        models = [
            {
                "part": part,
                "id": model.id,
                "repo": model.repo,
                "revision": model.revision,
                "licence": model.licence,
                "commercial_use": model.commercial_use,
            }
            for part, model in self.members
        ]
        files = [{"path": p, "size": f.size, "sha256": sha256[p]} for p, f in self.files().items()]
        return manifest_text(
            {
                "name": self.name,
                "description": self.description,
                "revision": self.revision,
                "licence": ", ".join(dict.fromkeys(model.licence for _, model in self.members)),
                **self._tables(),
                "models": models,
                "files": files,
            }
        )

    @property
    def description(self) -> str:
        return ", ".join(model.id for _, model in self.members)

    def _tables(self) -> dict[str, Any]:
        tables: dict[str, Any] = {}
        voices = [(part, model) for part, model in self.members if part.startswith(("tts", "voices."))]
        for part, model in self.members:
            path = _path(part, model.files[0])
            if part == "stt":
                tables["stt"] = {"path": FOLDERS["stt"], "language": self.language or model.language}
            elif part == "llm":
                tables["llm"] = {"path": path, "context": self.recipe.context, "slots": self.recipe.slots}
            elif part == "tts":
                tables["tts"] = {"path": path}
            elif part == "embedding":
                prefixes = {"query_prefix": model.query_prefix, "passage_prefix": model.passage_prefix}
                tables["embedding"] = {"path": path, **{k: v for k, v in prefixes.items() if v}}
            elif part == "turn":
                tables["turn"] = {"path": path}
        if len(voices) > 1:  # then agents choose one by name, the first as well
            tables["voices"] = {model.id: {"path": _path(part, model.files[0])} for part, model in voices}
        return tables


def compose(catalogue: Catalogue, recipe_name: str, name: str | None, wishes: Wishes) -> Composition:
    """The pack of a recipe with the wished models in place of its own.

    Raises:
        CatalogueError: there is no such recipe or model, or it cannot be so; with what comes close.
    """
    recipe = catalogue.recipe(recipe_name)
    if recipe is None:
        known = ", ".join(p.name for p in catalogue.packs)
        raise CatalogueError(
            f"The catalogue has no pack {recipe_name!r}. It has: {known}. Single models go into one of them by "
            "--stt, --llm and --voice."
        )
    changes: dict[str, Any] = {}
    for kind in ("stt", "llm"):
        if wanted := getattr(wishes, kind):
            changes[kind] = catalogue.find(kind, wanted).id
    for optional in ("embedding", "turn"):
        if wanted := getattr(wishes, optional):
            changes[optional] = None if wanted == "none" else catalogue.find(optional, wanted).id
    if wishes.voices:
        changes["voices"] = tuple(dict.fromkeys(catalogue.find("tts", v).id for v in wishes.voices))
    chosen = recipe.model_copy(update=changes)
    members = chosen.members(catalogue)
    language = wishes.language and wishes.language.lower()
    model = members[0][1]
    if language is not None and not re.fullmatch(r"[a-z]{2,3}", language):
        raise CatalogueError(f"{language!r} is not a language as Whisper names it, like de or en.")
    if language is not None and model.language not in (None, language):
        raise CatalogueError(f"{model.id} understands {model.language} only, not {language}.")
    return Composition(name or recipe_name, chosen, members, language)


def _path(part: str, file: PinnedFile) -> str:
    name = unicodedata.normalize("NFKD", file.path.rpartition("/")[2]).encode("ascii", "ignore").decode()
    return f"{FOLDERS[part.partition('.')[0]]}/{name}"
