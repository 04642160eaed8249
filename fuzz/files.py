"""Files that are damaged: models, agents' settings, documents, and recordings that somebody uploads."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, StreamObject

from fuzz import Target
from fuzz.damage import DAMAGE, HARM, damaged, harmed
from media_server.agents import AgentRegistry
from media_server.audio import MODEL_RATE_HZ, read_parts
from media_server.errors import ConfigurationError, MediaServerError
from media_server.knowledge import DocumentError
from media_server.knowledge.documents import passages
from media_server.packs.examining import examine
from media_server.paths import BUNDLED_MODELS

__all__ = ["FILES"]

STARTER = BUNDLED_MODELS / "starter"


async def _gguf(harm: list[tuple[int, bytes]]) -> None:
    """A damaged language model: read for what it is, or a sentence for the operator."""
    await _examined("model.gguf", "chat/starter-chat.gguf", harm)


async def _whisper(harm: list[tuple[int, bytes]]) -> None:
    """A damaged recogniser, or one with a damaged file beside it."""
    names = ("model.bin", "config.json", "tokenizer.json", "vocabulary.json")
    await _examined(names[harm[0][0] % len(names)], f"stt/{names[harm[0][0] % len(names)]}", harm, "stt")


async def _piper(harm: list[tuple[int, bytes]]) -> None:
    """A voice whose description is damaged."""
    name = "starter-voice.onnx.json"
    await _examined(name, f"voice/{name}", harm, "voice")


async def _examined(name: str, original: str, harm: list[tuple[int, bytes]], beside: str = "") -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        folder.mkdir()
        for other in (STARTER / beside).iterdir() if beside else ():
            (folder / other.name).symlink_to(other.resolve())
        (folder / name).unlink(missing_ok=True)
        whole = (STARTER / original).read_bytes()
        # the head is what is read; the rest is only measured
        (folder / name).write_bytes(harmed(whole[: 2**20], harm))
        what = folder / name if name.endswith(".gguf") else folder
        what = folder / "starter-voice.onnx" if beside == "voice" else what
        try:
            examine(what)
        except MediaServerError:
            return


_AGENT = """
name = "desk"
prompt = "You are {{name}}."
greeting = "Hello."
language = "en"
max_duration_s = 60
interruptions = "careful"
[variables]
name = "Ada"
[[tools]]
name = "look"
description = "look"
"""


async def _agents(damage: tuple[int, int, str]) -> None:
    """Files of agents: an agent, or a sentence that says what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "desk.toml").write_text(damaged(_AGENT, *damage), encoding="utf-8", errors="replace")
        try:
            problems = AgentRegistry().load(Path(folder))
            assert all(str(each) for each in problems)
        except ConfigurationError:
            return


async def _document(harm: list[tuple[int, bytes]]) -> None:
    """A document of an agent's knowledge: passages, or a sentence that says why not."""
    with tempfile.TemporaryDirectory() as folder:
        for name, whole in _DOCUMENTS.items():
            (Path(folder) / name).write_bytes(harmed(whole, harm))
            try:
                assert all(passage.text for passage in passages(Path(folder) / name))
            except DocumentError as wrong:
                assert str(wrong)


async def _recording(harm: list[tuple[int, bytes]]) -> None:
    """A recording that somebody uploads: sound, or an error that says what is wrong with it."""
    for whole in _RECORDINGS.values():
        try:
            for part in read_parts(io.BytesIO(harmed(whole, harm)), MODEL_RATE_HZ, 60):
                assert part.dtype == np.int16
        except (FFmpegError, ValueError, OSError):
            continue


def _pdf() -> bytes:
    writer, file = PdfWriter(), io.BytesIO()
    page = writer.add_blank_page(200, 200)
    content = StreamObject()
    content.set_data(b"BT /F1 12 Tf 20 100 Td (The office is open from nine to six.) Tj ET")
    font = {"/Type": NameObject("/Font"), "/Subtype": NameObject("/Type1"), "/BaseFont": NameObject("/Helvetica")}
    fonts = DictionaryObject({NameObject("/F1"): DictionaryObject({NameObject(k): v for k, v in font.items()})})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    page[NameObject("/Contents")] = writer._add_object(content)
    writer.write(file)
    return file.getvalue()


def _recorded(form: str, codec: str) -> bytes:
    file = io.BytesIO()
    tone = (8000 * np.sin(np.arange(24_000) * 0.05)).astype(np.int16)
    with av.open(file, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None, :], format="s16", layout="mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(stream.codec_context.format or "s16", "mono", 48_000)
        for each in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return file.getvalue()


_DOCUMENTS = {
    "a.md": "# Hours\n\nWe open at nine. 日曜日は休みです。\n\n```\ncode\n```\n## Prices\n| a | b |\n".encode(),
    "a.pdf": _pdf(),
}
_RECORDINGS = {
    form: _recorded(form, codec)
    for form, codec in (
        ("wav", "pcm_s16le"),
        ("flac", "flac"),
        ("ogg", "libopus"),
        ("mp3", "libmp3lame"),
        ("webm", "libopus"),
    )
}

FILES: Mapping[str, Target] = {
    "files of agents": (DAMAGE, _agents),
    "language models": (HARM, _gguf),
    "recognisers": (HARM, _whisper),
    "voices": (HARM, _piper),
    "documents": (HARM, _document),
    "recordings": (HARM, _recording),
}
"""Targets that are read by an operator's commands or in a thread, and not by the event loop of a server."""
