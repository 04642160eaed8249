"""NVIDIA's GPUs and CUDA libraries: which engines can use them on this machine, and what is missing."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["NO_CUBLAS", "NO_GPU", "Gpu", "NoGpuError", "gpus", "load_cublas", "recogniser_lacks"]

CUBLAS = ("libcublasLt.so.12", "libcublas.so.12")
"""CTranslate2 opens the second by this name when it first multiplies; it needs nothing else of CUDA's."""
NO_GPU = "there is no NVIDIA GPU, or its driver does not answer"
NO_CUBLAS = "there is a GPU, but not cuBLAS for CUDA 12, which speech recognition needs: pip install nvidia-cublas-cu12"
_DEVICE_TYPES = (1, 2)
"""ggml-backend.h: a GPU with memory of its own, and one that shares the host's."""


class NoGpuError(RuntimeError):
    """CUDA is wanted for an engine that cannot use it here."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that llama.cpp can use. Memory is in bytes."""

    name: str
    free: int
    memory: int


@cache
def load_cublas() -> bool:
    """Load cuBLAS for this process, from where the system has it or from the package nvidia-cublas-cu12.

    Libraries of Python packages are on no search path; one that is loaded is found by its name from then on.
    """
    return all(_load(name) for name in CUBLAS)


def recogniser_lacks() -> str:
    """Why speech recognition cannot run on a GPU, in a sentence's words; empty where it can."""
    import ctranslate2

    if not ctranslate2.get_cuda_device_count():
        return NO_GPU
    return "" if load_cublas() else NO_CUBLAS


def gpus() -> list[Gpu]:
    """The GPUs that llama.cpp was built for and finds."""
    from llama_cpp._ggml import libggml

    from media_server.engines.loading import begin

    begin()
    libggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    libggml.ggml_backend_dev_description.restype = ctypes.c_char_p
    libggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    found = []
    for i in range(libggml.ggml_backend_dev_count()):
        device = ctypes.c_void_p(libggml.ggml_backend_dev_get(ctypes.c_size_t(i)))
        if libggml.ggml_backend_dev_type(device) not in _DEVICE_TYPES:
            continue
        free, memory = ctypes.c_size_t(), ctypes.c_size_t()
        libggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(memory))
        name = libggml.ggml_backend_dev_description(device) or b"GPU"
        found.append(Gpu(name.decode("utf-8", "replace"), free.value, memory.value))
    return found


def _load(name: str) -> bool:
    for path in (name, *map(str, _packaged(name))):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False


def _packaged(name: str) -> Iterator[Path]:
    """Files of this name in NVIDIA's Python packages."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from Path(folder).glob(f"*/lib/{name}")
