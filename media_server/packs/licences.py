"""The licences of what a bundle carries: of the models by the pack, of the programs by their wheels."""

from __future__ import annotations

import re
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from media_server.engines.packs import Pack

__all__ = ["documents_of", "licence_files", "licence_text", "read_metadata"]

LARGEST = 4 << 20
"""Bytes of a licence; what is longer is something else."""
TEXTS = re.compile(
    r"(licen[cs]es?|copying|notice|authors|copyright|ofl|model_card)\b.*|.*\.dist-info/licenses/.+", re.I
)
COPYLEFT = re.compile(r"(?<![a-z])(agpl|gpl)", re.I)
DOCUMENTS = re.compile(r"(readme|licen[cs]e|copying|notice|model_card)[^/]*", re.I)

HEAD = """\
Licences of what is in this bundle

Each keeps its own licence. The texts that came with the programs are in the folder licences.
"""
COPYLEFT_NOTE = """\
Under the GPL: {names}. Who passes this bundle on to others must offer them the source too, for instance
with `pip download --no-deps --no-binary :all: NAME==VERSION` beside it.
"""


def read_metadata(wheel: Path) -> Message:
    """The core metadata of a wheel."""
    with zipfile.ZipFile(wheel) as z:
        name = next(n for n in z.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
        return HeaderParser().parsestr(z.read(name).decode("utf-8", errors="replace"))


def licence_of(metadata: Message) -> str:
    """The licence that a wheel names, in one line."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    classifiers = [c.rsplit(" :: ", 1)[1] for c in metadata.get_all("Classifier", []) if c.startswith("License :: ")]
    text = str(metadata["License"] or "").strip()
    if text and "\n" not in text and len(text) <= 80 and text.upper() != "UNKNOWN":
        return text
    return "; ".join(c for c in classifiers if c != "OSI Approved") or "see its files"


def licence_text(pack: Pack, wheels: list[Path]) -> str:
    """`LICENCES.txt`: what is in the bundle, under which licence."""
    manifest = pack.manifest
    lines = [HEAD, f"Models (pack {manifest.name}, revision {manifest.revision}): {manifest.licence}"]
    for model in manifest.models:
        lines.append(f"  {model.part:<16} {model.id}: {model.licence} (commercial use: {model.commercial_use})")
    if wheels:
        named = []
        for wheel in wheels:
            metadata = read_metadata(wheel)
            named.append((f"{metadata['Name']}=={metadata['Version']}", licence_of(metadata)))
        lines += [
            "",
            "Programs:",
            *(f"  {name:<44} {licence}" for name, licence in sorted(named, key=lambda n: n[0].lower())),
        ]
        if gpl := [name for name, licence in named if COPYLEFT.search(licence) and "lgpl" not in licence.lower()]:
            lines += ["", COPYLEFT_NOTE.format(names=", ".join(gpl)).rstrip()]
    return "\n".join(lines) + "\n"


def licence_files(wheels: list[Path]) -> dict[str, bytes]:
    """The texts that wheels carry, by their path below the folder `licences`."""
    out = {}
    for wheel in wheels:
        metadata = read_metadata(wheel)
        with zipfile.ZipFile(wheel) as z:
            for info in z.infolist():
                folder, _, name = info.filename.partition(".dist-info/")
                if info.is_dir() or not name or "/" in folder or info.file_size > LARGEST:
                    continue
                if name.startswith("licenses/") or TEXTS.fullmatch(name):
                    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name.removeprefix("licenses/").replace("/", "-")).lstrip(
                        ".-"
                    )
                    out[f"{metadata['Name']}-{metadata['Version']}/{safe}"] = z.read(info)
    return out


def documents_of(pack: Pack) -> list[str]:
    """Files in a pack's folder that its manifest does not name and that say something of it: licences, model cards."""
    named = {f.path for f in pack.manifest.files}
    found = (p for p in sorted(pack.folder.rglob("*")) if p.is_file() and DOCUMENTS.fullmatch(p.name))
    paths = [p.relative_to(pack.folder).as_posix() for p in found if p.stat().st_size <= LARGEST]
    return [p for p in paths if p not in named]
