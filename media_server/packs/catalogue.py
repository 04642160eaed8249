"""The built-in catalogue: models that are known to work, what is pinned of each, and packs made of them."""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from media_server.errors import MediaServerError

__all__ = [
    "KINDS",
    "SPOKEN",
    "Catalogue",
    "CatalogueError",
    "Kind",
    "Model",
    "PinnedFile",
    "Recipe",
    "builtin_catalogue",
]

ModelId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]

Kind = Literal["stt", "llm", "tts", "embedding", "turn"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SPOKEN = {
    "stt": "recogniser",
    "llm": "language model",
    "tts": "voice",
    "embedding": "embedding model",
    "turn": "turn model",
}
"""How a kind of model is called in sentences."""


class CatalogueError(MediaServerError):
    """There is no such model or pack, or the name fits several."""

    def __init__(self, message: str) -> None:
        super().__init__("unknown_model", message)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PinnedFile(_Table):
    """A file in a model's repository, with what it has to be."""

    path: str = Field(pattern=r"^[^/\\.][^/\\]*(/[^/\\.][^/\\]*)*$")
    size: int = Field(gt=0)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    """Where no SHA-256 is known; second best."""

    @model_validator(mode="after")
    def _is_pinned(self) -> PinnedFile:
        if self.sha256 is None and self.md5 is None:
            raise ValueError("a file needs a checksum")
        return self


class PackageParts(_Table):
    """A Python package whose wheel holds the files of a model, all in one folder."""

    name: str
    version: str
    folder: str


class Model(_Table):
    """One model: where its files are, what they are, and under which terms."""

    id: ModelId
    repo: str | None = Field(None, pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")
    licence: str
    commercial_use: Literal["yes", "no", "unclear"]
    terms: str | None = Field(None, pattern=r"^[a-z0-9.-]+$")
    """What `--accept-licence` names; given where commercial use is not plainly allowed."""
    verified: int = Field(2, ge=1)
    """Public manifests that name the same hashes."""
    note: str = ""
    language: str | None = None
    quality: str | None = None
    speakers: int = Field(1, ge=1)
    base_voice: str | None = None
    thinking: Literal["never", "switch", "switch-on"] | None = None
    prefix_cache: Literal["plain", "swa", "hybrid"] | None = None
    dimensions: int | None = None
    query_prefix: str = ""
    passage_prefix: str = ""
    package: PackageParts | None = None
    files: tuple[PinnedFile, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_complete(self) -> Model:
        if (self.commercial_use == "yes") != (self.terms is None):
            raise ValueError("terms are given exactly where commercial use is not plainly allowed")
        if (self.repo is None) != (self.revision is None):
            raise ValueError("a repository needs a revision")
        if self.repo is None and self.package is None:
            raise ValueError("there is no source of this model")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files)

    @property
    def by_md5_only(self) -> bool:
        """Whether a file of this model is pinned by MD5 and size alone."""
        return any(f.sha256 is None for f in self.files)


class Recipe(_Table):
    """A pack as a list of models, by id."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str
    stt: ModelId
    llm: ModelId
    voices: tuple[ModelId, ...] = Field(min_length=1)
    """The first is the pack's own; all of them can be chosen by name."""
    embedding: ModelId | None = None
    turn: ModelId | None = None
    context: int = Field(4096, ge=256)
    slots: int = Field(4, ge=1, le=256)

    def members(self, catalogue: Catalogue) -> list[tuple[str, Model]]:
        """The models, each with the part that it has in a pack: stt, llm, tts, voices.ID, embedding or turn.

        Raises:
            CatalogueError: the catalogue lacks one.
        """
        first, *others = (catalogue.find("tts", v) for v in self.voices)
        return [
            ("stt", catalogue.find("stt", self.stt)),
            ("llm", catalogue.find("llm", self.llm)),
            ("tts", first),
            *((f"voices.{v.id}", v) for v in others),
            *((("embedding", catalogue.find("embedding", self.embedding)),) if self.embedding else ()),
            *((("turn", catalogue.find("turn", self.turn)),) if self.turn else ()),
        ]


class Catalogue(_Table):
    """Recipes of packs, and the models that they and others can be made of."""

    version: Literal[1]
    packs: tuple[Recipe, ...]
    stt: tuple[Model, ...]
    llm: tuple[Model, ...]
    tts: tuple[Model, ...]
    embedding: tuple[Model, ...] = ()
    turn: tuple[Model, ...] = ()

    def models(self, kind: Kind) -> tuple[Model, ...]:
        found: tuple[Model, ...] = getattr(self, kind)
        return found

    def recipe(self, name: str) -> Recipe | None:
        return next((p for p in self.packs if p.name == name), None)

    def find(self, kind: Kind, wanted: str) -> Model:
        """The model of a kind whose id is `wanted`, or the only one whose id has these parts.

        Raises:
            CatalogueError: with the ids that come close.
        """
        models = self.models(kind)
        plain = _plain(wanted)
        for model in models:
            if _plain(model.id) == plain:
                return model
        starting = [m for m in models if _plain(m.id).startswith(plain + "-")]
        if len(starting) == 1:
            return starting[0]
        fitting = starting or [m for m in models if plain and f"-{plain}-" in f"-{_plain(m.id)}-"]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise CatalogueError(f"{wanted!r} fits several: {_listed(m.id for m in fitting)}.")
        raise CatalogueError(f"The catalogue has no {SPOKEN[kind]} {wanted!r}. {self._close(kind, plain)}")

    def _close(self, kind: Kind, plain: str) -> str:
        ids = {_plain(m.id): m.id for m in self.models(kind)}
        close = difflib.get_close_matches(plain, ids, 5, 0.5) or [i for i in ids if plain and plain in i][:5]
        if close:
            return f"Did you mean {' or '.join(ids[c] for c in close)}?"
        for other in KINDS:
            if other != kind and plain and any(f"-{plain}-" in f"-{_plain(m.id)}-" for m in self.models(other)):
                return f"It is a {SPOKEN[other]}."
        return "media-server models list --available shows all of them."


def _plain(name: str) -> str:
    """Lower case without accents, and with one mark between words."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[\s_-]+", "-", ascii_only.lower().removeprefix("piper-")).strip("-")


def _listed(ids: Iterable[str]) -> str:
    first, rest = (found := sorted(ids))[:12], found[12:]
    return ", ".join(first) + (f" and {len(rest)} more" if rest else "")


@cache
def builtin_catalogue() -> Catalogue:
    """The catalogue that travels with this package."""
    text = (files("media_server.packs") / "catalogue.toml").read_text("utf-8")
    return Catalogue.model_validate(tomllib.loads(text))
