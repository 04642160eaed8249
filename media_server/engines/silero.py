"""Voice activity: the Silero network that ships with faster-whisper, its state kept per call.

It runs in the media worker itself: 0.1 ms for a chunk of 32 ms costs less than sending the chunk anywhere. It is most
of what a silent call costs all the same, so it is not asked about what is as quiet as the room has been. A recogniser
that may write what nobody said asks it too, for a whole utterance at once.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from media_server.audio import Samples

__all__ = ["CHUNK", "CHUNK_S", "VoiceActivity", "VoiceActivityModel", "model_file"]

CHUNK = 512
"""Samples at 16 kHz that one decision needs: 32 ms."""
CHUNK_S = 0.032
RATE_HZ = 16_000
SETTLING_S = 0.6
QUIET = 2.0
"""How much more power than in its quietest moment a room has while nobody speaks in it: 3 dB."""
INAUDIBLE = 16.0
"""The mean square of samples below which there is nothing to hear, whatever the room is like: -78 dB of full scale."""
ROOM_CHUNKS = 32
UNSEEN = 4
"""Chunks before something sounds that the network hears with it: it needs to know the room."""
_CONTEXT = 64
_STATE = (1, 1, 128)


def model_file() -> Path:
    """The network's file, found without importing its package: the media worker has no use for the rest of that."""
    package = importlib.util.find_spec("faster_whisper")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "assets" / "silero_vad_v6.onnx"


class VoiceActivityModel:
    """The network, loaded once for all calls; stateless."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model_file()), options, providers=["CPUExecutionProvider"])

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """How likely each CHUNK of sound (16 kHz, shape [n]) is to be speech, 0 to 1; nothing is kept."""
        # in the first half second the network knows nothing of the room yet, and misses short words
        before = int(SETTLING_S * RATE_HZ) // CHUNK * CHUNK
        padded = np.pad(samples / np.float32(32768), (before, -len(samples) % CHUNK)).astype(np.float32)
        chunks = padded.reshape(-1, CHUNK)
        context = np.roll(chunks[:, -_CONTEXT:], 1, 0)
        context[0] = 0
        state: NDArray[np.float32] = np.zeros(_STATE, np.float32)
        feeds = {"input": np.concatenate([context, chunks], 1), "h": state, "c": state}
        found: NDArray[np.float32] = self.session.run(None, feeds)[0]
        return found.reshape(-1)[before // CHUNK :]


class VoiceActivity:
    """Voice activity of one call."""

    def __init__(self, model: VoiceActivityModel) -> None:
        self._session = model.session
        self._h: NDArray[np.float32] = np.zeros(_STATE, np.float32)
        self._c: NDArray[np.float32] = np.zeros(_STATE, np.float32)
        self._context: NDArray[np.float32] = np.zeros(_CONTEXT, np.float32)
        self._room = _Room()
        self._unseen: Samples = np.zeros(0, np.int16)
        """Quiet sound that the network was spared, the last of it."""

    def probabilities(self, samples: Samples, attentive: bool = True) -> list[float]:
        """The probabilities, 0 to 1, that the next sound at 16 kHz, shape [n * CHUNK], is speech: one for each CHUNK.

        Args:
            attentive: False where nobody was speaking: what is as quiet as the room is no speech, and costs nothing.
        """
        count = len(samples) // CHUNK
        is_quiet = self._room.note(samples)
        if not samples.any():  # a muted caller sends a lot of it, and there is nothing to hear
            return [0.0] * count
        if is_quiet and not attentive:
            self._unseen = np.concatenate([self._unseen, samples])[-UNSEEN * CHUNK :]
            return [0.0] * count
        if len(self._unseen):
            samples, self._unseen = np.concatenate([self._unseen, samples]), self._unseen[:0]
        window: NDArray[np.float32] = np.empty((len(samples) // CHUNK, _CONTEXT + CHUNK), np.float32)
        np.multiply(samples.reshape(-1, CHUNK), 1 / 32768, out=window[:, _CONTEXT:], dtype=np.float32)
        window[1:, :_CONTEXT] = window[:-1, -_CONTEXT:]
        window[0, :_CONTEXT] = self._context
        self._context = window[-1, -_CONTEXT:].copy()
        found, self._h, self._c = self._session.run(None, {"input": window, "h": self._h, "c": self._c})
        return [float(each) for each in found.reshape(-1)[-count:]]


class _Room:
    """How quiet a caller's room is: the least power of the last one to two seconds."""

    def __init__(self) -> None:
        self._least = self._least_before = np.float32(0)
        self._chunks = 0
        """Those since `_least_before` was the least."""

    def note(self, samples: Samples) -> bool:
        """Take sound, shape [n * CHUNK]; returns whether all of it is as quiet as the room."""
        chunks = samples.reshape(-1, CHUNK).astype(np.float32)
        powers = np.einsum("ij,ij->i", chunks, chunks) / np.float32(CHUNK)
        is_quiet = bool(powers.max() <= max(INAUDIBLE, QUIET * min(self._least, self._least_before)))
        self._least = min(self._least, powers.min()) if self._chunks else powers.min()
        self._chunks += len(chunks)
        if self._chunks >= ROOM_CHUNKS:
            self._least_before, self._chunks = self._least, 0
        return is_quiet
