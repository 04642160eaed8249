"""Sample formats: resampling, levels, WAV files."""

from __future__ import annotations

import math
import wave
from collections.abc import Generator
from pathlib import Path
from typing import IO, cast

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

__all__ = [
    "CALL_RATE_HZ",
    "MODEL_RATE_HZ",
    "Resampler",
    "Samples",
    "frame_of",
    "read_parts",
    "read_wav",
    "resample",
    "write_wav",
]

Samples = NDArray[np.int16]
"""Mono samples, shape [n]."""

MODEL_RATE_HZ = 16_000
"""What the recogniser and voice activity work at."""
CALL_RATE_HZ = 48_000
"""What Opus on the wire works at."""
FORMATS = "wav,w64,mp3,ogg,flac,matroska,webm,mov,mp4,m4a,3gp,aac,amr,aiff,au,caf,asf,avi,flv,mpeg,mpegts"
"""Formats of files with sound in them; others of FFmpeg's are lists of files and addresses, which it would open."""
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 768_000
"""Rates of files. A head that claims others, a hundred million, takes seconds and a gigabyte to resample from."""
MAX_CHANNELS = 32


class Resampler:
    """Converts a stream of `av.AudioFrame` of any format, which may change, to mono int16 at `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._graph: Graph | None = None
        self._format: tuple[int, str, str] | None = None

    def push(self, frame: av.AudioFrame | None) -> Samples:
        """The samples that are ready after `frame`, shape [n]; `None` flushes the rest."""
        out: list[Samples] = []
        if frame is not None:
            form = (frame.sample_rate, frame.layout.name, frame.format.name)
            if self._format != form:
                # FFmpeg's resampler takes one format only
                out += self._passed(None)
                self._format = form
                is_same = form == (self._rate_hz, "mono", "s16")
                self._graph = None if is_same else _resampling(frame, self._rate_hz)
            if self._graph is None:
                out.append(frame.to_ndarray()[0])
                frame = None
        out += self._passed(frame)
        return np.concatenate(out) if out else np.zeros(0, np.int16)

    def _passed(self, frame: av.AudioFrame | None) -> list[Samples]:
        """What comes out of the graph where `frame` goes in; `None` flushes it."""
        out: list[Samples] = []
        if self._graph is None:
            return out
        self._graph.push(frame)
        while True:
            try:
                out.append(cast(av.AudioFrame, self._graph.pull()).to_ndarray()[0])
            except (av.error.BlockingIOError, av.error.EOFError):
                return out


def _resampling(frame: av.AudioFrame, rate_hz: int) -> Graph:
    """FFmpeg's resampler for frames like this one. PyAV's own starts a thread for each core that the machine has."""
    graph = Graph()
    graph.threads = 1
    time_base = {"time_base": str(frame.time_base)} if frame.time_base is not None else {}
    source = graph.add(
        "abuffer",
        sample_rate=str(frame.sample_rate),
        sample_fmt=frame.format.name,
        channel_layout=frame.layout.name,
        **time_base,
    )
    form = graph.add("aformat", sample_rates=str(rate_hz), sample_fmts="s16", channel_layouts="mono")
    sink = graph.add("abuffersink")
    source.link_to(form)
    form.link_to(sink)
    graph.configure()
    return graph


def frame_of(samples: Samples, rate_hz: int) -> av.AudioFrame:
    """Samples, shape [n] or [n, channels], as a frame."""
    layout = "stereo" if samples.ndim == 2 and samples.shape[1] == 2 else "mono"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = rate_hz
    return frame


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """A whole recording at another rate, shape [n * to_hz / from_hz]."""
    if from_hz == to_hz or len(samples) == 0:
        return samples
    resampler = Resampler(to_hz)
    return np.concatenate([resampler.push(frame_of(samples, from_hz)), resampler.push(None)])


def read_wav(path: Path | IO[bytes], rate_hz: int, longest_s: float = math.inf) -> Samples:
    """A WAV file (or another of `FORMATS`) as mono samples at `rate_hz`.

    Raises:
        OSError: the file cannot be read.
        ValueError: there is no audio in it, or more than `longest_s`.
    """
    return np.concatenate(list(read_parts(path, rate_hz, longest_s)))


def read_parts(path: Path | IO[bytes], rate_hz: int, longest_s: float = math.inf) -> Generator[Samples, None, None]:
    """The same, as it is decoded, a frame at a time: an hour of sound may lie in a small file.

    Raises:
        OSError: the file cannot be read.
        ValueError: there is no audio in it, or more than `longest_s`, or of a kind that nobody records.
    """
    name = path if isinstance(path, Path) else "the file"
    try:
        source, options = str(path) if isinstance(path, Path) else path, {"format_whitelist": FORMATS}
        with av.open(source, mode="r", options=options) as container:
            if not container.streams.audio:
                raise ValueError(f"{name} has no audio in it")
            resampler = Resampler(rate_hz)
            left = longest_s * rate_hz
            for frame in container.decode(audio=0):
                _check_form(frame, name)
                part = resampler.push(frame)
                left -= len(part)
                if left < 0:  # a small file may hold days of silence
                    raise ValueError(f"{name} has more than {longest_s / 60:g} minutes of audio in it")
                yield part
            yield resampler.push(None)
    except (av.error.InvalidDataError, av.error.ArgumentError) as e:
        raise ValueError(f"{name} is not an audio file") from e


def _check_form(frame: av.AudioFrame, name: Path | str) -> None:
    rate_hz, channels = frame.sample_rate, len(frame.layout.channels)
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise ValueError(f"{name} claims {rate_hz} samples a second; {MIN_RATE_HZ} to {MAX_RATE_HZ} can be read")
    if channels > MAX_CHANNELS:
        raise ValueError(f"{name} claims {channels} channels; {MAX_CHANNELS} at most can be read")


def write_wav(path: Path | IO[bytes], samples: Samples, rate_hz: int) -> None:
    """Mono 16-bit WAV."""
    with wave.open(str(path) if isinstance(path, Path) else path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate_hz)
        w.writeframes(samples.tobytes())
