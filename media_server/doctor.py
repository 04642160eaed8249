"""`media-server doctor`: what will run where, what is missing, and the command that mends it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from media_server.agents import DEFAULT_AGENT, AgentRegistry
from media_server.call.comfort import check_sound
from media_server.config import Settings, is_loopback
from media_server.counted import counted
from media_server.engines import cuda
from media_server.engines.inspecting import inspect
from media_server.engines.packs import Pack, check_files, load_pack, problems_of
from media_server.errors import ConfigurationError
from media_server.packs.memory import on_gpu
from media_server.store import Database, Keys, missing_file, not_written
from media_server.tls import server_context

__all__ = ["Finding", "database", "examine"]

LITTLE_DISK = 1e9
"""Free bytes below which the operator is warned."""


PACKAGES = (
    ("aiortc",),
    ("faster-whisper",),
    ("ctranslate2",),
    ("llama-cpp-python",),
    ("piper-tts",),
    ("onnxruntime-gpu", "onnxruntime"),
)
REBUILD = (
    "CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python "
    "llama-cpp-python=={version}"
)
"""What gives llama.cpp CUDA, and leaves all other packages as they are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `remedy` is a command or a sentence, for what is not well."""

    level: Literal["ok", "note", "bad"]
    text: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at the machine, the libraries, the model pack and the settings."""
    findings = [Finding("ok", f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")]
    findings += [_package(*names) for names in PACKAGES]
    findings += _devices(settings)
    findings += _pack(settings)
    findings += _memory()
    if settings.offline:
        findings.append(Finding("ok", "offline: engines reach no network"))
    else:
        findings.append(Finding("note", "offline = false: libraries of the engines may reach the network"))
    findings += _agents(settings)
    try:
        found, keys = database(settings)
        findings.append(found)
        settings.check_exposure(keys > 0)
    except ConfigurationError as e:
        return [*findings, Finding("bad", e.message)]
    return [*findings, *_certificate(settings), *_address(settings)]


def database(settings: Settings) -> tuple[Finding, int]:
    """Whether the database can be used, and how many keys it has. One that is not there yet is not made.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if file := missing_file(settings.database):
        if not os.access(file.parent, os.W_OK | os.X_OK):
            return Finding("bad", f"database {file} cannot be made", f"make the folder {file.parent} writable"), 0
        return Finding("ok", f"database {settings.database}: made at the first start"), 0
    keys = asyncio.run(_keys(settings))
    return Finding("ok", f"database {settings.database}: {counted(keys, 'API key')}"), keys


async def _keys(settings: Settings) -> int:
    async with Database.open(settings.database) as database:
        try:
            async with database.begin() as session:  # changes nothing, and fails where nothing can be changed
                await session.execute(text("UPDATE keys SET name = name WHERE id = ''"))
        except SQLAlchemyError as failed:
            raise not_written(failed) from failed
        return len(await Keys(database).all())


def _package(*names: str) -> Finding:
    """The version of the first of these that is installed; any will do."""
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return Finding("ok", f"{name} {importlib.metadata.version(name)}")
    return Finding("bad", f"{names[-1]} is not installed", "make install")


def _memory() -> list[Finding]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # not on Windows
        return []
    free = shutil.disk_usage(Path()).free
    level: Literal["ok", "note"] = "ok" if free > LITTLE_DISK else "note"
    remedy = "" if level == "ok" else "make room: call records and recordings need some"
    return [Finding(level, f"{total / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB free on this disk", remedy)]


def _agents(settings: Settings) -> list[Finding]:
    if settings.agents_dir is None:
        return [Finding("ok", "agents: assistant (no folder of your own: media-server init makes one)")]
    try:
        pack = load_pack(settings.pack, settings.models_dir)
        agents = AgentRegistry([DEFAULT_AGENT, *settings.agents], pack.manifest.voices, check_sound)
        problems = agents.load(settings.agents_dir)
    except ConfigurationError as e:
        return [Finding("bad", e.message)]
    found = [Finding("ok", f"agents in {settings.agents_dir}: {', '.join(agents.names)}")]
    return found + [Finding("bad", f"agent file {problem}") for problem in problems]


def _certificate(settings: Settings) -> list[Finding]:
    """Whether a certificate of the operator's own can be used; with `auto` the server makes one when it starts."""
    if settings.tls in ("", "auto"):
        return []
    try:
        _, certificate = server_context(settings.tls, settings.tls_dir)
    except ConfigurationError as e:
        return [Finding("bad", e.message)]
    return [Finding("ok", f"HTTPS with the certificate {certificate}")]


def _address(settings: Settings) -> list[Finding]:
    """Whether the port is free, and what browsers on other machines need."""
    where = f"{settings.host}:{settings.port}"
    found = [Finding("ok", f"will listen on {where}")]
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((settings.host, settings.port))
        except OSError as e:
            busy = f"{where} cannot be listened on ({e.strerror}): a server that is running, or another program"
            found = [Finding("note", busy, "if it is not meant to: --port N")]
    if not is_loopback(settings.host) and not settings.tls:
        remedy = "--tls auto, or a proxy with a certificate"
        found.append(Finding("note", "no HTTPS: browsers on other machines give pages no microphone", remedy))
    return found


def _devices(settings: Settings) -> list[Finding]:
    if settings.device == "cpu":
        return [Finding("ok", "all engines run on the CPU, as configured")]
    gpus, lacking, voice = cuda.gpus(), cuda.recogniser_lacks(), _voice_on_cuda()
    if settings.device == "auto" and not gpus and not voice and lacking != cuda.NO_CUBLAS:
        return [Finding("ok", "all engines run on the CPU; docs/howto/deploy.md says what a GPU needs")]
    needed: Literal["note", "bad"] = "bad" if settings.device == "cuda" else "note"
    found = [Finding("ok", f"{g.name}: {g.memory / 1e9:.1f} GB, {g.free / 1e9:.1f} GB of it free") for g in gpus]
    if lacking:
        found.append(Finding(needed, "speech recognition: CPU", f"for CUDA: {lacking}"))
    else:
        found.append(Finding("ok", "speech recognition: CUDA"))
    lacks = lacking if lacking == cuda.NO_GPU else _rebuild()
    if gpus:
        found.append(Finding("ok", "language model: GPU"))
    else:
        found.append(Finding(needed, "language model: CPU", f"for CUDA: {lacks}"))
    if voice:
        found.append(Finding("ok", "voice: CUDA"))
    else:
        found.append(Finding("ok", "voice: CPU, which is faster than speech"))
    return found


def _rebuild() -> str:
    return REBUILD.format(version=importlib.metadata.version("llama-cpp-python"))


def _voice_on_cuda() -> bool:
    from media_server.engines.onnx import CUDA, load_onnx
    from media_server.engines.silero import model_file

    return CUDA in load_onnx(model_file(), 1, "auto").get_providers()


def _fits(settings: Settings, pack: Pack) -> list[Finding]:
    """Whether the GPU has room for the pack."""
    gpus = cuda.gpus() if settings.device != "cpu" else []
    if not gpus:
        return []
    needed, free = on_gpu(pack), sum(g.free for g in gpus)
    if needed <= free:
        return []
    text = f"the pack takes about {needed / 1e9:.1f} GB on a GPU, and {free / 1e9:.1f} GB of the GPU's memory are free"
    remedy = 'a smaller model, fewer slots, a shorter context, or kv_type = "q8_0" in its pack.toml'
    return [Finding("note", text, remedy)]


def _pack(settings: Settings) -> list[Finding]:
    try:
        pack = load_pack(settings.pack, settings.models_dir)
        check_files(pack)
    except ConfigurationError as e:
        return [Finding("bad", e.message)]
    problems = problems_of(pack)
    if problems:
        remedy = f"media-server models fetch {settings.pack}"
        return [Finding("bad", f"model pack {settings.pack}: {p}", remedy) for p in problems]
    size_mb = sum(f.size for f in pack.manifest.files) / 1e6
    found = [Finding("ok", f"model pack {settings.pack} in {pack.folder}: {size_mb:.1f} MB, all checksums right")]
    found += _fits(settings, pack)
    return found + [Finding(level, f"{pack.chat.name}: {text}") for level, text in inspect(pack.chat)]
