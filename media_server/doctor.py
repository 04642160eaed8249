"""`media-server doctor`: what will run where, what is missing, and the command that mends it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from media_server.agents import DEFAULT_AGENT, AgentRegistry
from media_server.call.comfort import check_sound
from media_server.config import Settings, is_loopback
from media_server.engines.inspecting import inspect
from media_server.engines.packs import check_files, load_pack, problems_of
from media_server.errors import ConfigurationError
from media_server.store import Database, Keys

__all__ = ["Finding", "examine"]

LITTLE_DISK = 1e9
"""Free bytes below which the operator is warned."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `remedy` is a command or a sentence, for what is not well."""

    level: Literal["ok", "note", "bad"]
    text: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at the machine, the libraries, the model pack and the settings."""
    findings = [Finding("ok", f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}")]
    for package in ("aiortc", "faster-whisper", "ctranslate2", "llama-cpp-python", "piper-tts", "onnxruntime"):
        try:
            findings.append(Finding("ok", f"{package} {importlib.metadata.version(package)}"))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding("bad", f"{package} is not installed", "make install"))
    findings += _devices(settings)
    findings += _pack(settings)
    findings += _memory()
    if settings.offline:
        findings.append(Finding("ok", "offline: engines reach no network"))
    else:
        findings.append(Finding("note", "offline = false: libraries of the engines may reach the network"))
    findings += _agents(settings)
    try:
        keys = asyncio.run(_keys(settings))
        findings.append(Finding("ok", f"database {settings.database}: {keys} API key{'' if keys == 1 else 's'}"))
        settings.check_exposure(keys > 0)
    except ConfigurationError as e:
        return [*findings, Finding("bad", e.message)]
    return [*findings, *_address(settings)]


async def _keys(settings: Settings) -> int:
    async with Database.open(settings.database) as database:
        return len(await Keys(database).all())


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
    found = []
    checks = {
        "speech recognition": (_ctranslate2_cuda, "install a CUDA 12 runtime with cuBLAS and cuDNN 9"),
        "language model": (
            _llama_cuda,
            "CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-cache-dir llama-cpp-python",
        ),
        "voice": (_onnx_cuda, "pip install onnxruntime-gpu"),
    }
    for name, (check, remedy) in checks.items():
        if check():
            found.append(Finding("ok", f"{name}: CUDA"))
        else:
            level: Literal["note", "bad"] = "bad" if settings.device == "cuda" else "note"
            found.append(Finding(level, f"{name}: CPU", f"for CUDA: {remedy}"))
    if settings.device == "auto" and all(finding.level == "note" for finding in found):
        return [Finding("ok", "all engines run on the CPU; for a GPU see docs/performance.md")]
    return found


def _ctranslate2_cuda() -> bool:
    import ctranslate2

    return bool(ctranslate2.get_cuda_device_count())


def _llama_cuda() -> bool:
    import llama_cpp

    return bool(llama_cpp.llama_supports_gpu_offload())


def _onnx_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


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
    return found + [Finding(level, f"{pack.chat.name}: {text}") for level, text in inspect(pack.chat)]
