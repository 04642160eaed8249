"""`media-server doctor`: what will run where, what is missing, and the command that mends it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass
from typing import Literal

from media_server.config import Settings
from media_server.engines.inspecting import inspect
from media_server.engines.packs import check_files, load_pack, problems_of
from media_server.errors import ConfigurationError
from media_server.store import Database, Keys

__all__ = ["Finding", "examine"]


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
    if settings.offline:
        findings.append(Finding("ok", "offline: engines reach no network"))
    else:
        findings.append(Finding("note", "offline = false: libraries of the engines may reach the network"))
    try:
        settings.check_exposure(asyncio.run(_has_keys(settings)))
        findings.append(Finding("ok", f"will listen on {settings.host}:{settings.port}"))
    except ConfigurationError as e:
        findings.append(Finding("bad", e.message))
    return findings


async def _has_keys(settings: Settings) -> bool:
    async with Database.open(settings.database) as database:
        return await Keys(database).any()


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
