"""PyAudio without a sound card: its microphone is the WAV file that MICROPHONE names, in real time, then silence."""

from __future__ import annotations

import os
import time
import wave

paInt16 = 8  # noqa: N816 - as it is there


class _Stream:
    def __init__(self, rate: int) -> None:
        with wave.open(os.environ["MICROPHONE"]) as w:
            assert w.getframerate() == rate
            self._left: bytes = w.readframes(w.getnframes())
        self._rate = rate

    def read(self, frames: int, exception_on_overflow: bool = True) -> bytes:
        time.sleep(frames / self._rate)
        data, self._left = self._left[: 2 * frames], self._left[2 * frames :]
        return data.ljust(2 * frames, b"\0")

    def stop_stream(self) -> None: ...

    def close(self) -> None: ...


class PyAudio:
    def open(self, rate: int, **_: object) -> _Stream:
        return _Stream(rate)

    def terminate(self) -> None: ...
