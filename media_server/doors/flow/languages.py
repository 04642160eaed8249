"""How Speechmatics Flow describes the language of a conversation."""

from __future__ import annotations

from typing import Any

__all__ = ["pack_of"]

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay", "nl": "Dutch",
    "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak",
    "sl": "Slovenian", "sv": "Swedish", "ta": "Tamil", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Mandarin",
}  # fmt: skip
WITHOUT_SPACES = frozenset({"ja", "th", "zh"})
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})


def pack_of(language: str) -> dict[str, Any]:
    """`language_pack_info` of a language by its code in ISO 639; empty for one that is detected as it is spoken."""
    name = {"language_description": NAMES[language]} if language in NAMES else {}
    delimiter = "" if language in WITHOUT_SPACES else " "
    direction = "right-to-left" if language in RIGHT_TO_LEFT else "left-to-right"
    return {**name, "word_delimiter": delimiter, "writing_direction": direction, "itn": False, "adapted": False}
