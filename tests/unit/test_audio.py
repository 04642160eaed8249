from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from media_server.audio import Resampler, frame_of, read_wav, resample, write_wav
from media_server.rtc.agreed import Codec
from media_server.rtc.encoding import encoder_of


@pytest.mark.parametrize(("a", "b"), [(16_000, 48_000), (48_000, 16_000), (22_050, 48_000)])
def test_resampling_keeps_the_tone_and_the_length(a: int, b: int) -> None:
    tone = (np.sin(2 * np.pi * 440 * np.arange(a) / a) * 10_000).astype(np.int16)
    out = resample(tone, a, b)
    assert abs(len(out) - b) <= b // 500
    spectrum = np.abs(np.fft.rfft(out.astype(float)))
    assert np.argmax(spectrum) * b / len(out) == pytest.approx(440, abs=2)
    assert np.abs(out).max() == pytest.approx(10_000, rel=0.05)


def test_resampling_nothing_gives_nothing() -> None:
    empty = np.zeros(0, np.int16)
    assert len(resample(empty, 16_000, 48_000)) == 0


def test_wav_files_come_back_as_they_were(tmp_path: Path) -> None:
    x = np.arange(-2000, 2000, dtype=np.int16)
    write_wav(tmp_path / "x.wav", x, 16_000)
    assert (read_wav(tmp_path / "x.wav", 16_000) == x).all()


def test_what_is_no_audio_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("hello, this is not audio at all")
    with pytest.raises(ValueError, match="not an audio file"):
        read_wav(tmp_path / "x.wav", 16_000)
    with pytest.raises(OSError, match="No such file"):
        read_wav(tmp_path / "none.wav", 16_000)


def test_a_list_of_files_is_no_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "secret.wav", np.ones(16_000, np.int16), 16_000)
    for content in (b"ffconcat version 1.0\nfile secret.wav\n", b"v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"):
        with pytest.raises(ValueError, match="not an audio file"):
            read_wav(io.BytesIO(content), 16_000)


def test_a_recording_that_is_too_long_is_not_read_to_its_end() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        for _ in range(121):
            container.mux(stream.encode(frame_of(np.zeros(8000, np.int16), 8000)))
        container.mux(stream.encode(None))
    assert len(file.getvalue()) < 30_000
    file.seek(0)
    with pytest.raises(ValueError, match="the file has more than 2 minutes of audio in it"):
        read_wav(file, 16_000, 120)
    file.seek(0)
    assert len(read_wav(file, 16_000, 121)) == 121 * 16_000


@pytest.mark.parametrize(
    ("rate_hz", "channels", "wrong"),
    [
        (1, 1, "claims 1 samples a second"),
        (999, 1, "claims 999 samples a second"),
        (768_001, 2, "claims 768001 samples a second"),
        (100_000_007, 1, "claims 100000007 samples a second"),
        (2**31 - 1, 1, "claims 2147483647 samples a second"),
        (48_000, 33, "claims 33 channels"),
        (48_000, 255, "claims 255 channels"),
    ],
)
def test_a_head_that_claims_what_nobody_records_costs_nothing(rate_hz: int, channels: int, wrong: str) -> None:
    """Resampling from 100 MHz takes six seconds and a gigabyte."""
    file = io.BytesIO()
    with wave.open(file, "wb") as w:
        w.setnchannels(channels)
        w.setsampwidth(2)
        w.setframerate(rate_hz)
        w.writeframes(bytes(2 * channels * 5000))
    file.seek(0)
    with pytest.raises(ValueError, match=wrong):
        read_wav(file, 16_000, 60)


def test_a_stream_may_change_its_format() -> None:
    def frame(rate_hz: int, layout: str, seconds: float) -> av.AudioFrame:
        channels = 2 if layout == "stereo" else 1
        tone = np.sin(np.arange(int(rate_hz * seconds)) * 2 * np.pi * 440 / rate_hz) * 10000
        samples = np.repeat(tone.astype(np.int16)[:, None], channels, axis=1).reshape(1, -1)
        made = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        made.sample_rate = rate_hz
        return made

    resampler = Resampler(16000)
    parts = [resampler.push(frame(*f)) for f in ((16000, "mono", 0.5), (24000, "mono", 0.5), (48000, "stereo", 0.5))]
    out = np.concatenate([*parts, resampler.push(None)])
    assert abs(len(out) - 24000) < 100
    assert np.abs(out[4000:20000]).max() < 11000


def test_neither_resampling_nor_encoding_starts_threads() -> None:
    """A thread for each core and resampler would be hundreds for a server full of calls."""
    process = psutil.Process()
    samples = (np.sin(np.arange(960) / 20) * 9000).astype(np.int16)
    kept: list[object] = []
    before = process.num_threads()
    for _ in range(4):
        resampler, encoder = Resampler(16_000), encoder_of(Codec(111, "opus", 48_000, 2))
        assert len(resampler.push(frame_of(samples, 48_000)))
        assert len(encoder.encode(samples)) > 20
        kept += [resampler, encoder]
    assert process.num_threads() == before


def test_a_resampler_follows_its_sound_through_changes_of_format() -> None:
    resampler = Resampler(16_000)
    samples = np.full(960, 1000, np.int16)
    parts = [
        resampler.push(frame_of(samples, 48_000)),
        resampler.push(frame_of(np.stack([samples, samples], 1), 48_000)),
        resampler.push(frame_of(samples[:320], 16_000)),
        resampler.push(frame_of(samples, 48_000)),
        resampler.push(None),
    ]
    assert sum(map(len, parts)) == pytest.approx(4 * 320, abs=4)
