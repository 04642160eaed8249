"""The microphone and the loudspeaker of this machine, for a call from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.errors import MediaServerError

__all__ = ["Loudspeaker", "devices", "microphone"]

FRAME = CALL_RATE_HZ // 50
BEHIND_S = 0.06
"""Seconds of sound the loudspeaker waits for before it plays: what a busy machine delays must not be heard as a gap."""
MAX_S = 0.4
"""Seconds of sound that may wait; of more the oldest is dropped, so that a sleeping device does not delay the call."""


def devices() -> str:
    """All sound devices with their numbers, as a table for people."""
    with _explained():
        return str(_library().query_devices()) or "There are no sound devices."


@contextlib.contextmanager
def microphone(device: str | None, take: Callable[[Samples], None]) -> Iterator[None]:
    """Call `take` in the event loop with each 20 ms of sound (48 kHz mono) while the block runs.

    Raises:
        MediaServerError: there is no such device, or no library to use it.
    """
    loop = asyncio.get_running_loop()

    def from_device(sound: Any, frames: int, time: Any, status: Any) -> None:
        samples = np.frombuffer(sound, np.int16).copy()
        with contextlib.suppress(RuntimeError):  # the loop is closed when the last sound arrives
            loop.call_soon_threadsafe(take, samples)

    with _explained(), _library().RawInputStream(callback=from_device, **_format(device)):
        yield


class Loudspeaker:
    """A context manager that plays what `play` is given (48 kHz mono); the device takes it in a thread of its own."""

    def __init__(self, device: str | None) -> None:
        self._lock = threading.Lock()
        self._waiting = np.zeros(0, np.int16)
        self._playing = False
        with _explained():
            self._stream = _library().RawOutputStream(callback=self._to_device, **_format(device))

    def __enter__(self) -> Loudspeaker:
        with _explained():
            self._stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def play(self, samples: Samples) -> None:
        """Add sound to what is played."""
        with self._lock:
            self._waiting = np.concatenate([self._waiting, samples])[-int(MAX_S * CALL_RATE_HZ) :]

    def _to_device(self, out: Any, frames: int, time: Any, status: Any) -> None:
        with self._lock:
            if not self._playing:
                self._playing = len(self._waiting) >= BEHIND_S * CALL_RATE_HZ
            ready = self._waiting[:frames] if self._playing else self._waiting[:0]
            self._waiting = self._waiting[len(ready) :]
            self._playing = self._playing and len(ready) == frames
        block = np.zeros(frames, np.int16)
        block[: len(ready)] = ready
        out[:] = block.tobytes()


def _format(device: str | None) -> dict[str, Any]:
    which: str | int | None = int(device) if device and device.isdecimal() else device
    return {"device": which, "samplerate": CALL_RATE_HZ, "channels": 1, "dtype": "int16", "blocksize": FRAME}


def _library() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise MediaServerError(
            "no_sound",
            "A call by microphone needs the package sounddevice. Install it (pip install sounddevice), or call with a "
            "recording: --wav FILE.",
        ) from None
    except OSError:
        raise MediaServerError(
            "no_sound",
            "A call by microphone needs the library PortAudio. Install it (Debian: apt-get install libportaudio2), or "
            "call with a recording: --wav FILE.",
        ) from None
    return sounddevice


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Raise what the sound library says of a device as an error with the remedy."""
    library = sys.modules.get("sounddevice")
    failures = (ValueError, library.PortAudioError) if library else ValueError
    try:
        yield
    except failures as e:
        raise MediaServerError(
            "no_sound",
            f"The microphone or the loudspeaker cannot be used ({str(e).partition(chr(10))[0].rstrip('.')}). --devices "
            "lists what there is; --microphone and --loudspeaker choose one; --wav FILE needs none.",
        ) from e
