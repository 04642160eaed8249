"""Sounds that are no speech."""

from __future__ import annotations

import numpy as np

RATE = 16000


def not_speech(n: int) -> list[np.ndarray]:
    """Silence, hiss, rumble, hum, clicks, melodies, coughs: what must give empty text."""
    rng = np.random.default_rng(0)
    out = []
    for k in range(n):
        size = int(RATE * rng.uniform(0.4, 3.5))
        t = np.arange(size) / RATE
        level = 10 ** rng.uniform(-4, -0.6)
        hiss = rng.normal(size=size)
        x = hiss * level * 0.3
        match k % 8:
            case 0:
                x = hiss * (10 ** rng.uniform(-6, -4) if rng.random() < 0.7 else 0)
            case 1:
                x = np.cumsum(hiss)
                x = (x - x.mean()) / (np.abs(x).max() + 1e-9) * level
            case 2:
                x = hiss * level * 0.02 + sum(np.sin(2 * np.pi * f * t) for f in rng.uniform(50, 2000, 3)) * level / 3
            case 3:
                x = hiss * level * 0.02
                for at in rng.integers(0, size, 6):
                    x[at : at + 40] += level * 2
            case 4 | 5:  # coughs, knocks: bursts of coloured noise, sometimes with a low voice in them
                x = hiss * level * 0.02
                for at in np.sort(rng.integers(0, max(1, size - 4000), rng.integers(1, 4))):
                    length = int(RATE * rng.uniform(0.05, 0.35))
                    burst = rng.normal(size=length) * np.exp(-np.linspace(0, rng.uniform(3, 7), length))
                    colour = rng.uniform(-0.9, 0.95)
                    for i in range(1, length):
                        burst[i] += colour * burst[i - 1]
                    burst += (
                        rng.uniform(0, 1.5)
                        * np.sin(2 * np.pi * rng.uniform(80, 300) * np.arange(length) / RATE)
                        * np.exp(-np.linspace(0, 5, length))
                    )
                    burst *= level / (np.abs(burst).max() + 1e-9)
                    x[at : at + length] += burst[: len(x[at : at + length])]
            case 6:  # a melody of notes with overtones
                x = hiss * level * 0.01
                note = int(RATE * rng.uniform(0.1, 0.5))
                for at in range(0, size, note):
                    f = 110 * 2 ** (rng.integers(0, 40) / 12)
                    m = t[: len(x[at : at + note])]
                    x[at : at + note] += (
                        level / 2 * sum(np.sin(2 * np.pi * f * h * m) / h for h in (1, 2, 3)) * np.exp(-3 * m)
                    )
            case _:
                x = x * (1 + 0.8 * np.sin(2 * np.pi * rng.uniform(0.5, 6) * t))
        out.append(np.clip(x, -1, 1).astype(np.float32))
    return out
