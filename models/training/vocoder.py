"""Harmonic-plus-noise synthesis as plain tensor operations, so that it exports into the voice's ONNX graph.

Parameters per frame, in WORLD's sense (Morise et al. 2016, https://doi.org/10.1587/transinf.2015EDP7457):
a real cepstrum of the spectral envelope, aperiodicity in bands, F0 and voicing. Voiced sound is a sum of
harmonics with minimum phase; noise is shaped in the frequency domain and overlap-added.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

RATE = 16000
HOP = 128
CEPSTRUM = 48
BAND_EDGES_HZ = [0.0, 1000.0, 2000.0, 4000.0, 6000.0, 8000.0]
BANDS = len(BAND_EDGES_HZ) - 1
HARMONICS = 60
WINDOW = 256
BAND_CENTRES_HZ = [(a + b) / 2 for a, b in zip(BAND_EDGES_HZ, BAND_EDGES_HZ[1:], strict=False)]


def band_weights(freq_hz: torch.Tensor) -> torch.Tensor:
    """Weights [..., BANDS] that interpolate band values linearly at `freq_hz` [...], flat beyond the outer centres."""
    centres = BAND_CENTRES_HZ
    f = freq_hz.clamp(centres[0], centres[-1]).unsqueeze(-1)
    columns = []
    for i, c in enumerate(centres):
        left = (f - centres[i - 1]) / (c - centres[i - 1]) if i else torch.ones_like(f)
        right = (centres[i + 1] - f) / (centres[i + 1] - c) if i + 1 < len(centres) else torch.ones_like(f)
        columns.append(torch.minimum(left, right).clamp(0, 1))
    return torch.cat(columns, -1)


class Vocoder(torch.nn.Module):
    """(cepstrum [T, CEPSTRUM], aperiodicity [T, BANDS], f0 [T] Hz, voiced [T] 0..1) -> samples [T * HOP]."""

    def __init__(self) -> None:
        super().__init__()
        bins = WINDOW // 2 + 1
        n, k = np.arange(WINDOW), np.arange(bins)
        scale = np.where((k == 0) | (k == WINDOW // 2), 1.0, 2.0) / WINDOW * math.sqrt(WINDOW / 2)
        window = np.sin(np.pi * (n + 0.5) / WINDOW)
        angle = 2 * np.pi * np.outer(k, n) / WINDOW
        basis = np.concatenate([np.cos(angle) * scale[:, None], -np.sin(angle) * scale[:, None]]) * window
        self.register_buffer("noise_basis", torch.tensor(basis, dtype=torch.float32).unsqueeze(1))
        omega = torch.arange(bins) * (2 * math.pi / WINDOW)
        order = torch.arange(CEPSTRUM, dtype=torch.float32)
        doubled = torch.where(order == 0, 1.0, 2.0)
        self.register_buffer("doubled", doubled)
        self.register_buffer("order", order)
        self.register_buffer("noise_cosines", (torch.cos(omega[:, None] * order) * doubled).T.contiguous())
        self.register_buffer("noise_bands", band_weights(omega / (2 * math.pi) * RATE).T.contiguous())
        self.register_buffer("harmonic", torch.arange(1, HARMONICS + 1, dtype=torch.float32))

    def forward(self, cepstrum, aperiodicity, f0, voiced, noise_scale):
        harmonic_hz = f0.unsqueeze(1) * self.harmonic
        angle = (harmonic_hz * (2 * math.pi / RATE)).unsqueeze(-1) * self.order
        weighted = (cepstrum * self.doubled).unsqueeze(1)
        log_amplitude = (weighted * torch.cos(angle)).sum(-1)
        phase = -(weighted * torch.sin(angle)).sum(-1)
        rough = (band_weights(harmonic_hz) * aperiodicity.unsqueeze(1)).sum(-1)
        audible = torch.sigmoid((7700 - harmonic_hz) / 50)
        periodic = torch.sqrt((1 - rough * rough).clamp(min=0)) * voiced.unsqueeze(1) * audible
        amplitude = 2 * torch.exp(log_amplitude) * periodic * torch.sqrt(f0 / RATE).unsqueeze(1)

        def per_sample(x):  # [T, C] -> [C, T * HOP]
            return F.interpolate(x.T.unsqueeze(0), scale_factor=float(HOP), mode="linear", align_corners=False)[0]

        cycles = torch.cumsum(per_sample(f0.unsqueeze(1))[0] / RATE, 0)
        cycles = cycles - torch.floor(cycles)
        wave = torch.cos(2 * math.pi * cycles * self.harmonic.unsqueeze(1) + per_sample(phase))
        harmonics = (per_sample(amplitude) * wave).sum(0)

        roughness = aperiodicity @ self.noise_bands
        roughness = roughness * voiced.unsqueeze(1) + (1 - voiced).unsqueeze(1)
        magnitude = torch.exp(cepstrum @ self.noise_cosines) * roughness
        # phases alone are drawn: with magnitudes too it would be rougher, and consonants harder to tell apart
        turn = 2 * math.pi * torch.rand_like(magnitude)
        spectrum = torch.cat([magnitude * torch.cos(turn), magnitude * torch.sin(turn)], 1) * math.sqrt(2) * noise_scale
        noise = F.conv_transpose1d(spectrum.T.unsqueeze(0), self.noise_basis, stride=HOP)[0, 0]
        return harmonics + noise[HOP // 2 : HOP // 2 + harmonics.shape[0]]
