"""Sentences that recognisers write where nobody speaks: they learned them from subtitles. Pure.

Whisper was trained on videos' subtitles, in which music and silence are captioned with thanks and credits. People say
some of these sentences too, so that one alone proves nothing: `guards.bears_out` asks the sound for more.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["is_invented"]

_WHOLE = {
    # English
    "thank you", "thank you very much", "thank you so much", "thanks", "thanks for watching",
    "thank you for watching", "thanks for listening", "thank you for listening", "please subscribe",
    "like and subscribe", "see you next time", "see you in the next video", "ill see you in the next video", "bye",
    "bye bye", "you", "so", "okay", "the end", "im sorry", "well be right back", "music", "applause", "silence",
    # French
    "merci", "merci beaucoup", "merci davoir regarde", "merci davoir regarde cette video", "merci a tous",
    "au revoir", "abonnezvous", "a bientot", "a la prochaine",
    # Spanish
    "gracias", "muchas gracias", "gracias por ver", "gracias por ver el video", "suscribete", "adios", "hasta luego",
    "hasta la proxima", "suscribete al canal",
    # Italian
    "grazie", "grazie a tutti", "grazie per la visione", "grazie per aver guardato",
    "grazie per aver guardato il video", "iscriviti al canale", "ciao", "alla prossima",
    # German
    "danke", "vielen dank", "danke furs zuschauen", "vielen dank furs zuschauen",
    "vielen dank fur ihre aufmerksamkeit", "bis zum nachsten mal", "tschuss", "untertitel",
    # Portuguese and Dutch
    "obrigado", "obrigada", "muito obrigado", "obrigado por assistir", "tchau", "bedankt voor het kijken",
    "dank u wel", "tot ziens", "bedankt",
}  # fmt: skip
_PARTS = (
    "amaraorg", "subtitles by", "subtitled by", "captions by", "captioned by", "captioning by", "transcription by",
    "transcribed by", "thanks for watching", "thank you for watching", "dont forget to subscribe",
    "subscribe to my channel", "soustitres realises", "soustitrage", "soustitres par", "merci davoir regarde",
    "subtitulos realizados", "subtitulos por", "subtitulado por", "gracias por ver el video", "sottotitoli creati",
    "sottotitoli e revisione", "sottotitoli a cura", "grazie per aver guardato", "untertitel von",
    "untertitel im auftrag", "untertitelung", "untertitel der", "copyright wdr", "swr 20", "legendas pela",
    "legendado por", "ondertitels ingediend", "ondertiteling", "tv gelderland", "wwwzeoranger", "otterai",
)  # fmt: skip


def is_invented(text: str) -> bool:
    """Whether a whole transcript is such a sentence, repeated or not, or holds credits."""
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    sentences = [" ".join(re.sub(r"[^\w\s]", "", s).split()) for s in re.split(r"[.!?…,;♪\[\]()]+", plain)]
    spoken = [s for s in sentences if s]
    whole = re.sub(r"[^\w\s]", "", plain)
    return all(s in _WHOLE for s in spoken) or any(part in whole for part in _PARTS)
