"""The JSON beside a Piper voice: read, and checked, so that what is wrong with it is known before it is to speak."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from piper import PiperConfig
from piper.config import PhonemeType
from piper.phonemize_espeak import EspeakPhonemizer

__all__ = ["BOS", "EOS", "read_config"]

BOS, EOS = "^", "$"
_PHONEME_TYPES = {"espeak": PhonemeType.ESPEAK, "text": PhonemeType.TEXT}
_RATES_HZ = 4_000, 192_000
_SCALES = {"length_scale": 0.05, "noise_scale": 0.0, "noise_w": 0.0}
"""Least values of the numbers by which a file says how it speaks."""


def read_config(path: str) -> PiperConfig:
    """What the JSON beside a voice file says.

    Raises:
        ValueError: it cannot be read, or a voice cannot be like that; the message names the file and says why.
    """
    name = Path(path).name
    try:
        read = json.loads(Path(f"{path}.json").read_text("utf-8"))
    except OSError as missing:
        raise ValueError(f"{name}.json, which has to be beside {name}, cannot be read: {missing.strerror}") from missing
    except (ValueError, RecursionError) as wrong:
        raise ValueError(f"{name}.json is not JSON: {wrong}") from wrong
    if not isinstance(read, dict):
        raise ValueError(f"{name}.json is not the description of a Piper voice: it is no JSON object")
    kind = read.get("phoneme_type") or "espeak"
    if not isinstance(kind, str) or kind not in _PHONEME_TYPES:
        usable = " and ".join(_PHONEME_TYPES)
        raise ValueError(f"{name} needs phonemes of the type {kind!r}; only voices of the types {usable} can be used")
    if problem := next(_problems(read, kind), None):
        raise ValueError(f"{name}.json is not the description of a Piper voice: {problem}")
    ids = {phoneme: [i] if _whole(i) else i for phoneme, i in read["phoneme_id_map"].items()}
    given: dict[str, Any] = {"num_symbols": 256} | read | {"phoneme_type": kind, "phoneme_id_map": ids}
    given["inference"] = {k: v for k, v in (read.get("inference") or {}).items() if v is not None}
    given["speaker_id_map"] = read.get("speaker_id_map") or {}
    if kind == "text":
        given["espeak"] = {"voice": ""}
    try:
        config = PiperConfig.from_dict(given)
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise ValueError(f"{name}.json is not the description of a Piper voice: {wrong}") from wrong
    if kind == "espeak":
        _check_language(name, config.espeak_voice)
    return config


def _problems(read: dict[str, Any], kind: str) -> Iterator[str]:
    """What is wrong, in sentences without their end."""
    rate = _within(read, "audio", "sample_rate")
    least, most = _RATES_HZ
    if rate is None:
        yield "audio.sample_rate is missing"
    elif not _whole(rate) or not least <= rate <= most:
        yield f"audio.sample_rate is {rate!r}, and no sample rate between {least} and {most} Hz"
    speakers = read.get("num_speakers")
    if speakers is None:
        yield "num_speakers is missing"
    elif not _whole(speakers) or speakers < 0:
        yield f"num_speakers is {speakers!r}, and no number of speakers"
    ids = read.get("phoneme_id_map")
    if not isinstance(ids, dict) or not ids:
        yield "phoneme_id_map is missing" if ids is None else "phoneme_id_map has no phonemes"
    else:
        yield from (
            f"phoneme_id_map has no {mark!r}, with which a text begins or ends"
            for mark in (BOS, EOS)
            if not ids.get(mark)
        )
        wrong = next((p for p, i in ids.items() if not _ids(i)), None)
        if wrong is not None:
            yield f"phoneme_id_map has {ids[wrong]!r} for {wrong!r}, and no list of numbers"
    if kind == "espeak" and not (isinstance(voice := _within(read, "espeak", "voice"), str) and voice):
        yield "espeak.voice is missing" if voice is None else f"espeak.voice is {voice!r}, and no language"
    for scale, smallest in _SCALES.items():
        value = _within(read, "inference", scale)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and math.isfinite(value) and value >= smallest):
            yield f"inference.{scale} is {value!r}, and no number from {smallest:g}"
    names = read.get("speaker_id_map")
    if names is not None and not (isinstance(names, dict) and all(map(_whole, names.values()))):
        yield "speaker_id_map does not give numbers to names"


def _within(read: dict[str, Any], group: str, key: str) -> Any:
    holder = read.get(group)
    return holder.get(key) if isinstance(holder, dict) else None


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _ids(value: Any) -> bool:
    return _whole(value) or (isinstance(value, list) and all(map(_whole, value)))


def _check_language(name: str, language: str) -> None:
    try:
        EspeakPhonemizer().phonemize(language, "a")
    except Exception as unknown:  # the library raises whatever it likes
        meant = language.lower().replace("_", "-")
        hint = f'; "{meant}" may be meant' if meant != language else ""
        raise ValueError(
            f'{name}.json has "{language}" as espeak.voice, which is no language of espeak-ng{hint}'
        ) from unknown
