"""The libopus that PyAV's wheel carries, else the system's, by ctypes."""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import TypeVar

import av

__all__ = ["decoding_library", "encoding_library"]

log = logging.getLogger(__name__)

_Library = TypeVar("_Library", bound=ctypes.CDLL)


@cache
def decoding_library() -> ctypes.PyDLL | None:
    """libopus with the interpreter's lock kept: to decode a packet takes some 30 µs, less than two changes of threads.

    None where there is none, or one too old.
    """
    path = _path()
    return _declared(ctypes.PyDLL(path)) if path else None


@cache
def encoding_library() -> ctypes.CDLL | None:
    """libopus with the interpreter's lock released: speech is encoded in a thread beside the event loop.

    None where there is none, or one too old.
    """
    path = _path()
    return _declared(ctypes.CDLL(path)) if path else None


@cache
def _path() -> str | None:
    for path in _candidates():
        try:
            _declared(ctypes.CDLL(path))
        except (OSError, AttributeError):
            continue
        return path
    log.warning("no libopus was found beside PyAV; lost packets are replaced by silence")
    return None


def _candidates() -> list[str]:
    package = Path(av.__file__).parent
    places = ((package.parent / "av.libs", "*opus*.so*"), (package / ".dylibs", "*opus*.dylib"))
    windows = ((package.parent / "av.libs", "*opus*.dll"), (package, "*opus*.dll"))
    found = [str(path) for folder, pattern in (*places, *windows) for path in sorted(folder.glob(pattern))]
    return [*found, "libopus.so.0", "libopus.0.dylib", "opus.dll"]


def _declared(library: _Library) -> _Library:
    c_int, c_int32, c_void_p, c_char_p = ctypes.c_int, ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p
    library.opus_decoder_create.restype = c_void_p
    library.opus_decoder_create.argtypes = [c_int32, c_int, ctypes.POINTER(c_int)]
    library.opus_decoder_destroy.argtypes = [c_void_p]
    library.opus_decoder_destroy.restype = None
    library.opus_decode.argtypes = [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]
    library.opus_packet_has_lbrr.argtypes = [c_char_p, c_int32]
    library.opus_encoder_create.restype = c_void_p
    library.opus_encoder_create.argtypes = [c_int32, c_int, c_int, ctypes.POINTER(c_int)]
    library.opus_encoder_destroy.argtypes = [c_void_p]
    library.opus_encoder_destroy.restype = None
    # variadic: the fixed arguments are declared, so that the rest is passed rightly on Apple's arm64 too
    library.opus_encoder_ctl.argtypes = [c_void_p, c_int]
    library.opus_encode.argtypes = [c_void_p, c_void_p, c_int, c_char_p, c_int32]
    return library
