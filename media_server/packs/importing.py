"""Making a pack of a model that somebody already has, with the other models of another pack."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from media_server.engines.packs import Pack, manifest_in, problems_of
from media_server.packs.catalogue import KINDS, Model, builtin_catalogue
from media_server.packs.examining import Found
from media_server.packs.local import PackError, Staging, check_space, place, sha256_of, staging
from media_server.packs.whisper_files import convert
from media_server.packs.writing import manifest_text
from media_server.paths import BUNDLED_MODELS

__all__ = ["Target", "import_model", "import_pack"]

Say = Callable[[str], None]
OPTIONAL = ("turn", "emotion", "embedding")


@dataclass(frozen=True, slots=True)
class Target:
    """Which pack is made, and how.

    Attributes:
        base: the pack that the other models are taken from.
        voice: the name of a further voice; the usual one is replaced where it is empty.
        copy: copy files rather than link them.
    """

    name: str
    base: Pack
    voice: str = ""
    language: str | None = None
    copy: bool = False


def import_model(found: Found, target: Target, models_dir: Path, say: Say) -> Path:
    """Make the pack `target.name` with this model in it. Returns its folder.

    Raises:
        PackError: the disk is full, or the model cannot be converted. Nothing has changed.
    """
    if target.voice and found.part != "tts":
        raise PackError(f"{found.id} is no voice, so that it cannot be the voice {target.voice!r}.")
    part = f"voices.{target.voice}" if target.voice else found.part
    size = sum(p.stat().st_size for p in found.files.values())
    if found.convert_from is not None:
        size += sum(p.stat().st_size for p in found.convert_from.glob("*.safetensors"))
    with staging(models_dir, target.name) as incoming:
        check_space(models_dir, size if target.copy or found.convert_from else 0, f"The pack {target.name}")
        table = dict(found.table)
        if found.convert_from is not None:
            say("Converting to CTranslate2's form …")
            found = replace(found, files=_converted(found.convert_from, incoming))
        if found.part == "stt" and target.language:
            table["language"] = target.language
        manifest = _without(target.base, part, found)
        for file in manifest["files"]:
            _put(target.base.folder / file["path"], incoming.folder / file["path"], target.copy)
        files: list[dict[str, Any]] = []
        for path, source in found.files.items():
            to = incoming.folder / path
            if source != to:
                _put(source, to, target.copy)
            say(f"Reading {path} …")
            files.append({"path": path, "size": to.stat().st_size, "sha256": sha256_of(to)})
        known = _known({f["sha256"] for f in files})
        manifest["models"].append(_origin(part, found, known))
        manifest["files"] += files
        if not _starters_of(manifest):
            manifest.pop("notice", None)
        if target.voice:
            manifest["voices"] = {**manifest.get("voices", {}), target.voice: table}
        else:
            manifest[found.part] = table
        return incoming.commit(_text(manifest, target, known.id if known else found.id))


def import_pack(pack: Pack, name: str, models_dir: Path, copy: bool) -> Path:
    """Take over a whole pack from another folder, after checking all of its files.

    Raises:
        PackError: a file is damaged; nothing has changed.
    """
    if problems := problems_of(pack):
        raise PackError(f"The pack in {pack.folder} is damaged: {'; '.join(problems)}.")
    manifest = pack.manifest.model_dump(exclude_unset=True) | {"name": name}
    with staging(models_dir, name) as incoming:
        check_space(models_dir, sum(f.size for f in pack.manifest.files) if copy else 0, f"The pack {name}")
        for file in pack.manifest.files:
            _put(pack.folder / file.path, incoming.folder / file.path, copy)
        return incoming.commit(manifest_text(manifest))


def _converted(source: Path, incoming: Staging) -> dict[str, Path]:
    folder = incoming.folder / "stt"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    convert(source, folder)
    return {f"stt/{p.name}": p for p in sorted(folder.iterdir())}


def _put(source: Path, to: Path, copy: bool) -> None:
    if copy:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.unlink(missing_ok=True)  # it may be a link to somebody's own file
        shutil.copyfile(source, to)
    else:
        place(source, to)


def _without(base: Pack, part: str, found: Found) -> dict[str, Any]:
    """The base's manifest without what the new model replaces, and without files that only that used."""
    manifest = base.manifest.model_dump(exclude_unset=True)
    manifest.setdefault("models", [])
    voices = manifest.get("voices", {})
    if part.startswith("voices."):
        voices.pop(part.removeprefix("voices."), None)
    else:
        old = manifest.pop(part, None)
        if part == "tts" and old:  # other manners of the voice that is replaced go with it
            manifest["voices"] = {k: v for k, v in voices.items() if v["path"] != old["path"]}
    manifest["models"] = [m for m in manifest["models"] if m["part"] != part]
    used = [manifest[p]["path"] for p in ("stt", "llm", "tts", *OPTIONAL) if manifest.get(p)]
    used += [v["path"] for v in manifest.get("voices", {}).values()]
    manifest["files"] = [
        f for f in manifest["files"] if any(_belongs(f["path"], path) for path in used) and f["path"] not in found.files
    ]
    return manifest


def _starters_of(manifest: Mapping[str, Any]) -> bool:
    """Whether a recogniser or language model of the starter pack is in it, which that pack's notice is about."""
    starter = manifest_in(BUNDLED_MODELS / "starter")
    theirs = {f.sha256 for f in starter.files if f.path.startswith((f"{starter.stt.path}/", starter.llm.path))}
    return any(f["sha256"] in theirs for f in manifest["files"])


def _belongs(file: str, path: str) -> bool:
    """Whether a file is one of a model's, which is a folder, or a file with others named after it."""
    if file in (path, f"{path}.json") or file.startswith(f"{path}/"):
        return True
    stem, split, _ = path.partition("-00001-of-")
    return bool(split) and file.startswith(f"{stem}-") and file.endswith(path[-len("00001.gguf") :])


def _known(hashes: set[str]) -> Model | None:
    """The model of the catalogue that has these very files."""
    for kind in KINDS:
        for model in builtin_catalogue().models(kind):
            pinned = {f.sha256 for f in model.files}
            if None not in pinned and pinned <= hashes:
                return model
    return None


def _origin(part: str, found: Found, known: Model | None) -> dict[str, Any]:
    if known is None:
        return {"part": part, "id": found.id, "licence": found.licence, "commercial_use": "unclear"}
    return {
        "part": part,
        "id": known.id,
        "repo": known.repo,
        "revision": known.revision,
        "licence": known.licence,
        "commercial_use": known.commercial_use,
    }


def _text(manifest: Mapping[str, Any], target: Target, new: str) -> str:
    hashes = "\n".join(sorted(f["sha256"] for f in manifest["files"]))
    base = target.base.manifest
    models = manifest["models"]
    licences = dict.fromkeys(m["licence"] for m in models)
    if not base.models:  # of which it is not known which licence is which model's
        licences = dict.fromkeys([f"{new}: {models[-1]['licence']}", f"the other models: {base.licence}"])
    return manifest_text(
        {
            "name": target.name,
            "description": f"{new}, with the other models of the pack {base.name}.",
            "revision": hashlib.sha256(hashes.encode()).hexdigest()[:12],
            "licence": "; ".join(licences),
            **{k: v for k, v in manifest.items() if k not in ("name", "description", "revision", "licence")},
        }
    )
