"""Whether a sound in the caller's microphone is the agent's own voice, by comparing it with what went out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.rtc import Speaker

__all__ = ["LEAD_S", "MOST_S", "OwnVoice"]

RATE_HZ = 8000
"""Rate at which both are compared."""
FRAME_S = 0.02
SPARSE = 16
"""Of so many samples one is looked at to find out whether something sounds."""
KEPT_S = 4.0
"""Seconds of what went out that are kept."""
MAX_DELAY_S = 1.0
"""The longest way of a voice through two networks and a room …"""
AHEAD_S = 0.1
"""… and how far off the two clocks may be."""
LEAD_S = 0.15
"""Seconds before speech was noticed that are compared with it."""
LEAST_S, MOST_S = 0.3, 0.8
"""Seconds of sound that are compared, with these."""
SEARCH_S = 0.15
"""How far a line's delay may have changed since it was found."""
WINDOW, HOP = 256, 128
LOWEST, HIGHEST = 5, 116
"""Bands of such a window that are compared: 150 to 3,600 Hz."""
WHITENING = 0.8
OWN_SHARES = ((0.55, 0.6), (0.4, 0.7), (LEAST_S, 0.8))
"""Share of a sound's power that follows what went out, as a filter would, from which on it is the agent's voice: of a
sound of so many seconds at least. In a short one much is alike by chance.
"""
OTHER_SHARE = 0.25
"""The same, below which somebody else speaks, be it over the agent's voice."""
HALVES_SHARE = 0.5
"""The same of both halves of a sound together, on a line that has echoed: its delay may jump in between."""
OVERLAP = 0.6
"""How much a window that half overlaps another one counts for."""

_Signal = NDArray[np.float32]


class OwnVoice:
    """Have it `follow` the speaker while the agent speaks; `is_all_of` tells whether a sound is that voice.

    The waveform of an echo follows that of the voice; that of a caller who says the same words does not.

    Args:
        clock: the call's, which the times of what is heard are by.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._frames: deque[Samples] = deque(maxlen=round(KEPT_S / FRAME_S))
        self._end_s = -np.inf
        self._delay_s: float | None = None
        """How long the agent's voice takes to come back, where it has."""
        self._found_s = 0.0
        self._speaker: Speaker | None = None
        """Whom it follows now."""
        self.sounded_s = -np.inf
        """When something of it went out last."""

    def follow(self, speaker: Speaker) -> None:
        """Take what goes out from now on, until it has been silent for longer than an echo takes."""
        if self._speaker is None:
            self._frames.clear()
            self._speaker, self.sounded_s = speaker, self._clock()
            speaker.taps = [*speaker.taps, self._take]

    def _take(self, samples: Samples) -> None:
        """The next 20 ms of what goes out, silence as well: at 48 kHz, shape [960]."""
        now_s = self._clock()
        self._end_s = now_s + FRAME_S
        if samples[::SPARSE].any():
            self.sounded_s = now_s
        elif self._speaker and now_s - self.sounded_s > 2 * MAX_DELAY_S:
            self._speaker.taps = [tap for tap in self._speaker.taps if tap != self._take]
            self._speaker = None
            self._frames.clear()
            return
        self._frames.append(samples)

    def is_all_of(self, sound: Samples, start_s: float) -> bool:
        """Whether a sound is the agent's voice and little else, from its beginning to its end.

        Args:
            sound: at 16 kHz, shape [n]; of a long one the last seconds count.
            start_s: when its first sample was captured.
        """
        end, most = len(sound), int(MOST_S * MODEL_RATE_HZ)
        first = max(0, end - int((KEPT_S - MAX_DELAY_S) * MODEL_RATE_HZ))
        while True:
            begin = first if end - first < most + int(LEAST_S * MODEL_RATE_HZ) else end - most
            if not self.is_heard(sound[begin:end], start_s + begin / MODEL_RATE_HZ):
                return False
            if begin == first:
                return True
            end = begin

    def is_heard(self, sound: Samples, start_s: float) -> bool:
        """Whether a short sound is the agent's voice and little else."""
        seconds = len(sound) / MODEL_RATE_HZ
        if seconds < LEAST_S or start_s - MAX_DELAY_S > self.sounded_s:
            return False
        heard = _at_rate(sound, MODEL_RATE_HZ)
        least = next(share for long_s, share in OWN_SHARES if seconds >= long_s)
        if self._delay_s is not None and self._comes_back(heard, start_s, self._delay_s, least):
            return True
        if self._share(heard, start_s, (MAX_DELAY_S - AHEAD_S) / 2, (MAX_DELAY_S + AHEAD_S) / 2) < least:
            return False
        self._delay_s = self._found_s
        return True

    def is_other(self, sound: Samples, start_s: float) -> bool:
        """Whether there is more in a short sound than the agent's voice could be."""
        if start_s - MAX_DELAY_S > self.sounded_s:
            return True
        if len(sound) < LEAST_S * MODEL_RATE_HZ:
            return False
        heard = _at_rate(sound, MODEL_RATE_HZ)
        places = [((MAX_DELAY_S - AHEAD_S) / 2, (MAX_DELAY_S + AHEAD_S) / 2)]
        if self._delay_s is not None:
            places.append((self._delay_s, SEARCH_S))
        return all(self._share(heard, start_s, delay_s, around_s) < OTHER_SHARE for delay_s, around_s in places)

    def _comes_back(self, sound: _Signal, start_s: float, delay_s: float, least: float) -> bool:
        """Whether a sound is the agent's voice with about this delay, also where that jumps once."""
        if self._share(sound, start_s, delay_s, SEARCH_S) >= least:
            self._delay_s = self._found_s
            return True
        half = len(sound) // 2
        if half < LEAST_S * RATE_HZ:
            return False
        first = self._share(sound[:half], start_s, delay_s, SEARCH_S)
        last = self._share(sound[half:], start_s + half / RATE_HZ, delay_s, SEARCH_S)
        if (first + last) / 2 < HALVES_SHARE:
            return False
        self._delay_s = self._found_s if last >= first else delay_s
        return True

    def _share(self, sound: _Signal, start_s: float, delay_s: float, around_s: float) -> float:
        """How much of a sound's power is the agent's voice with about this delay."""
        from_s = start_s - delay_s - around_s
        went_out = self._between(from_s, from_s + 2 * around_s + len(sound) / RATE_HZ)
        if not went_out.any() or not sound.any():
            return 0.0
        at = _place(sound, went_out)
        self._found_s = start_s - from_s - at / RATE_HZ
        return _coherent_share(sound, went_out[at : at + len(sound)])

    def _between(self, from_s: float, to_s: float) -> _Signal:
        """What went out between two times, with silence where nothing is known."""
        out = np.zeros(round((to_s - from_s) * RATE_HZ), np.float32)
        count = min(len(self._frames), int((self._end_s - from_s) / FRAME_S) + 2)
        if count <= 0:
            return out
        kept = _at_rate(np.concatenate([self._frames[i] for i in range(-count, 0)]), CALL_RATE_HZ)
        at = round((self._end_s - from_s) * RATE_HZ) - len(kept)  # where that begins
        first, last = max(0, at), min(len(out), at + len(kept))
        if first < last:
            out[first:last] = kept[first - at : last - at]
        return out


def _at_rate(samples: Samples, rate_hz: int) -> _Signal:
    by = rate_hz // RATE_HZ
    whole = samples[: len(samples) // by * by].reshape(-1, by)
    return np.asarray(whole.mean(axis=1, dtype=np.float32), np.float32)


def _place(sound: _Signal, within: _Signal) -> int:
    """Where a sound fits best within a longer one."""
    n = 1 << (len(sound) + len(within) - 1).bit_length()
    product = np.fft.rfft(within, n) * np.conj(np.fft.rfft(sound, n))
    # voices repeat themselves many times a second: with all pitches alike only one place fits
    product /= np.abs(product) ** WHITENING + np.float32(1e-6)
    fits = np.fft.irfft(product, n)[: max(1, len(within) - len(sound) + 1)]
    return int(np.argmax(fits))


def _coherent_share(a: _Signal, b: _Signal) -> float:
    """The share of the power of `a` that follows `b` in the same way all the time."""
    x, y = _spectra(a), _spectra(b)
    power = np.sum(np.abs(x) ** 2, axis=0)
    common = np.abs(np.sum(x * np.conj(y), axis=0)) ** 2
    coherence = common / (power * np.sum(np.abs(y) ** 2, axis=0) + 1e-6)
    by_chance = min(0.9, 1 / max(1.0, OVERLAP * len(x)))
    coherence = ((coherence - by_chance) / (1 - by_chance)).clip(0, 1)
    return float(np.sum(coherence * power) / (np.sum(power) + 1e-6))


def _spectra(signal: _Signal) -> NDArray[np.complex64]:
    windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
    return np.asarray(np.fft.rfft(windows * np.hanning(WINDOW).astype(np.float32), axis=1)[:, LOWEST:HIGHEST])
