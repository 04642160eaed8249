"""Model packs: a folder with a `pack.toml` that names its models, their files and checksums."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from media_server.errors import ConfigurationError, problems
from media_server.paths import BUNDLED_MODELS

__all__ = [
    "ChatModel",
    "EmbeddingModel",
    "EmotionModel",
    "ModelOrigin",
    "Pack",
    "PackFile",
    "RecogniserModel",
    "TurnModel",
    "VoiceModel",
    "check_files",
    "load_pack",
    "manifest_in",
    "problems_of",
    "read_manifest",
]

WEIGHTS = 1_000_000
"""Bytes from which on a file holds weights: smaller ones are settings, which an operator may have changed."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Model(_Table):
    path: str
    threads: int = Field(0, ge=0, le=256)
    """More than these only cost, for a small model; 0 for one per core."""
    engine: str = Field("", pattern=r"^[a-z0-9-]{0,64}$")
    """Name of the engine that runs the model, where it is not the usual one."""
    options: dict[str, str | int | float | bool] = {}
    """Options of such an engine, beside path, threads and device."""

    @model_validator(mode="after")
    def _options_are_of_an_engine(self) -> Self:
        if self.options and not self.engine:
            raise ValueError("options are for an engine that is named (engine = …)")
        return self


class RecogniserModel(_Model):
    """A faster-whisper (CTranslate2) folder."""

    language: str | None = None
    """Spoken language; detected where it is not given and the model knows several."""
    window_s: float = Field(30.0, ge=2, le=30)
    """The longest sound that the model was trained on; what is longer is heard in pieces."""
    floor_s: float | None = Field(None, ge=0, le=30)
    """The shortest window that the model is right in, however short the sound; derived from the model by default."""
    margin_s: float | None = Field(None, ge=0, le=10)
    """Silence that the window has behind the sound at least; derived from the model by default."""
    timestamps: bool | None = None
    """Whether the model writes when phrases begin and end; derived from the model by default."""
    compute_type: (
        Literal["float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16"] | None
    ) = None
    """The kind of numbers that CTranslate2 multiplies; the fastest of the device by default."""


class TurnModel(_Model):
    """A classifier in the form of Smart Turn v3 (ONNX): whether a turn sounds complete."""


class EmotionModel(_Model):
    """An ONNX classifier of speech: what a caller feels, by the sound."""

    labels: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,30}$")], ...] = Field(min_length=2, max_length=100)
    """What its outputs stand for, in order, in the words that agents use."""


class ChatModel(_Model):
    """A GGUF file with a chat template in it."""

    context: int = Field(4096, ge=256)
    """Tokens that one conversation may fill."""
    slots: int = Field(4, ge=1, le=256)
    """Conversations of that length for which the KV cache has room; memory grows with context times slots."""
    complete_at: float = Field(0.1, gt=0, lt=1)
    """Probability of the end of a turn at which this model is undecided whether a caller is done."""
    described_arguments: bool = False
    """Show the model what arguments of tools mean in place of their names: for small models."""
    thinking_tokens: int = Field(0, ge=0, le=32768)
    """How long the model may think; 0 for not at all where that can be switched off, else for 1024 tokens."""
    batch: int = Field(512, ge=32, le=8192)
    """Tokens of one step at most; must be more than `slots`."""
    micro_batch: int = Field(0, ge=0, le=8192)
    """Tokens that are computed at once; 0 for as many as `batch`."""
    batch_threads: int = Field(0, ge=0, le=256)
    """Threads for reading prompts; 0 for as many as for writing replies."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    kv_type: Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] = "f16"
    """The type of the numbers in the KV cache: the smaller, the more conversations fit into memory. Quantised ones need
    `flash_attention`."""
    temperature: float = Field(0.7, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)


class VoiceModel(_Model):
    """A Piper ONNX file with its JSON beside it."""

    length_scale: float = Field(1.0, gt=0.2, lt=5)
    """Times the file's own; larger is slower."""
    speaker: Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Number or name, of a file that has several."""
    noise_scale: float | None = Field(None, ge=0, le=2)
    """How much the sound varies; as the file says where it is not given."""
    noise_w: float | None = Field(None, ge=0, le=2)
    """The same for the lengths of phonemes."""


class EmbeddingModel(_Model):
    """A GGUF file of an embedding model, with which documents are found by meaning too."""

    query_prefix: str = ""
    passage_prefix: str = ""
    """What the model was trained to see before questions and before passages."""
    context: int = Field(512, ge=64)
    related_at: float = Field(0.5, gt=-1, lt=1)
    """Cosine of question and passage from which on the model finds them related."""


class PackFile(_Table):
    path: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_. -]*(/[A-Za-z0-9_-][A-Za-z0-9_. -]*)*$")
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ModelOrigin(_Table):
    """Where one of the models came from, and under which terms."""

    part: str
    """What it is here: stt, llm, tts, voices.NAME, embedding, turn or emotion."""
    id: str
    repo: str | None = None
    revision: str | None = None
    licence: str
    commercial_use: Literal["yes", "no", "unclear"] = "unclear"


class _Manifest(_Table):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str
    notice: str = ""
    """What whoever starts the server with this pack should know; said at every start."""
    revision: str
    licence: str
    stt: RecogniserModel
    llm: ChatModel
    tts: VoiceModel
    voices: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], VoiceModel] = {}
    """Others that agents may have, by name."""
    turn: TurnModel | None = None
    emotion: EmotionModel | None = None
    embedding: EmbeddingModel | None = None
    models: list[ModelOrigin] = []
    files: list[PackFile]

    @model_validator(mode="after")
    def _files_are_different(self) -> _Manifest:
        paths = [file.path for file in self.files]
        if len(set(paths)) < len(paths) or "pack.toml" in paths:
            raise ValueError("a file is named twice, or is the manifest itself")
        return self


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that is on this machine."""

    folder: Path
    manifest: _Manifest

    @property
    def recogniser(self) -> Path:
        return self.folder / self.manifest.stt.path

    @property
    def turn(self) -> Path | None:
        return self.folder / self.manifest.turn.path if self.manifest.turn else None

    @property
    def emotion(self) -> Path | None:
        return self.folder / self.manifest.emotion.path if self.manifest.emotion else None

    @property
    def embedding(self) -> Path | None:
        return self.folder / self.manifest.embedding.path if self.manifest.embedding else None

    @property
    def chat(self) -> Path:
        return self.folder / self.manifest.llm.path

    @property
    def voice(self) -> Path:
        return self.folder / self.manifest.tts.path


def read_manifest(text: str, source: str) -> _Manifest:
    """The content of a `pack.toml`.

    Raises:
        ConfigurationError: it is not one; the message says what is wrong where.
    """
    try:
        return _Manifest.model_validate(tomllib.loads(text))
    except ValidationError as e:
        raise ConfigurationError(f"{source} is not a valid pack manifest: {problems(e)}.") from e
    except tomllib.TOMLDecodeError as e:
        raise ConfigurationError(f"{source} is not a valid pack manifest: {e}.") from e
    except RecursionError as e:
        raise ConfigurationError(f"{source} is not a valid pack manifest: its values are nested too deeply.") from e


def manifest_in(folder: Path) -> _Manifest:
    """The content of a pack's `pack.toml`.

    Raises:
        ConfigurationError: it cannot be read, or is not one.
    """
    file = folder / "pack.toml"
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as e:
        raise ConfigurationError(f"{file} is not a valid pack manifest: it is not text in UTF-8.") from e
    except OSError as e:
        raise ConfigurationError(f"{file} cannot be read: {e.strerror or e}.") from e
    return read_manifest(text, str(file))


def load_pack(name: str, models_dir: Path) -> Pack:
    """The pack `name` from `models_dir`, or from those that came with the package.

    Raises:
        ConfigurationError: there is none of that name, or files of it are missing.
    """
    for folder in (models_dir / name, BUNDLED_MODELS / name):
        if (folder / "pack.toml").is_file():
            break
    else:
        if Path(name).name != name:
            raise ConfigurationError(f"There is no model pack {name}: a pack is a folder with a pack.toml in it.")
        raise ConfigurationError(
            f"There is no model pack {name!r} in {models_dir.resolve()}. "
            f"`media-server models fetch {name}` brings it; `media-server models list` shows what there is."
        )
    pack = Pack(folder, manifest_in(folder))
    missing = [f.path for f in pack.manifest.files if not (folder / f.path).is_file()]
    if missing:
        raise ConfigurationError(
            f"The model pack in {folder.resolve()} lacks {', '.join(missing)}. Put it there, or run "
            f"`media-server models fetch {pack.manifest.name}` or `media-server models bundle install`."
        )
    return pack


def check_files(pack: Pack) -> None:
    """Look for every file that the engines open, before a library looks for it elsewhere.

    Raises:
        ConfigurationError: names the files that are missing, unreadable or cut short, and where they belong.
    """
    folder, manifest = pack.folder.resolve(), pack.manifest
    vocabulary = "vocabulary.txt" if (folder / manifest.stt.path / "vocabulary.txt").is_file() else "vocabulary.json"
    needed = []
    if not manifest.stt.engine:
        needed += [f"{manifest.stt.path}/{name}" for name in ("model.bin", "config.json", "tokenizer.json", vocabulary)]
    if not manifest.tts.engine:
        needed += [
            path for voice in (manifest.tts, *manifest.voices.values()) for path in (voice.path, f"{voice.path}.json")
        ]
    others = (manifest.llm, manifest.turn, manifest.emotion, manifest.embedding)
    # what another engine opens is known by the pack's list of files alone
    needed += [each.path for each in others if each and not each.engine]
    sizes = {file.path: file.size for file in manifest.files}
    wrong = []
    for path in dict.fromkeys([*needed, *sizes]):
        file = folder / path
        if not file.is_file():
            wrong.append(f"{file} is missing")
        elif not os.access(file, os.R_OK):
            wrong.append(f"{file} may not be read by this user")
        elif path in sizes and file.stat().st_size != sizes[path] >= WEIGHTS:
            wrong.append(f"{file} has {file.stat().st_size} bytes, not {sizes[path]}: it was not copied to its end")
    if wrong:
        raise ConfigurationError(
            f"The model pack {manifest.name} is not complete: {'; '.join(wrong)}. Nothing is fetched while serving: "
            f"put the file there, or run `media-server models fetch {manifest.name}` or `media-server models bundle "
            "install`."
        )


def problems_of(pack: Pack) -> list[str]:
    """What is wrong with the files of a pack, by size and SHA-256; reads them all."""
    out = []
    for file in pack.manifest.files:
        path = pack.folder / file.path
        if not path.is_file():
            out.append(f"{file.path} is missing")
        elif path.stat().st_size != file.size:
            out.append(f"{file.path} has {path.stat().st_size} bytes, not {file.size}")
        else:
            with path.open("rb") as f:
                if hashlib.file_digest(f, "sha256").hexdigest() != file.sha256:
                    out.append(f"{file.path} is not the file that the pack names (SHA-256 differs)")
    return out
