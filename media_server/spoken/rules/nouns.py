"""One before a written noun, in the noun's gender: `1 hora` is *una hora*, `1 Stunde` is *eine Stunde*. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import agreeing

__all__ = ["is_feminine", "is_other", "nouns"]

_COUNTED = re.compile(
    r"(?<![\w.,/:'’°+-])(?<!\d[ \u00a0])"
    r"(?P<number>\d{1,3}(?:\.\d{3})+|\d{1,6})[ \u00a0](?P<noun>[^\W\d_]{3,30})(?![\w'’.@/])"
)
_BEFORE = re.compile(r"([^\W\d_]{2,30})[ \u00a0]$")
_FEMININE: Mapping[str, re.Pattern[str]] = {
    "es": re.compile(
        r".*(?:as?|ci[oó]n(?:es)?|si[oó]n(?:es)?|[dt]ad(?:es)?|tud(?:es)?|umbres?|ve(?:z|ces)|noches?|mujer(?:es)?)"
        r"|(?:foto|moto|mano|radio)s?|clases?|llaves?|calles?|tardes?|leyes|ley|flor(?:es)?|claves?|partes?|gentes?|leche|naves?|nieve"
        r"|fuentes?|muertes?|sangre|carnes?|bases?|frases?|fases?|series?|superficies?|torres?|nubes?"
    ),
    "it": re.compile(
        r".*(?:a|zion[ei]|sion[ei]|tà|nott[ei]|part[ei]|ore|volte|auto|moto|foto|radio|mano|mani|class[ei]|chiav[ei]|voc[ei])"
    ),
    "pt": re.compile(
        r".*(?:as?|(?:çã|ções|ss?ã|ss?ões)o?|[dt]ades?|ge(?:m|ns)|ve(?:z|zes)|noites?|ç[õã]es|mulher(?:es)?)"
        r"|(?:foto|moto|tarde|parte|classe|chave|fase|flor|cor|luz|colher)(?:e?s)?|mãos?"
    ),
    "fr": re.compile(
        r".*(?:[ts]ions?|tés?|ettes?|[ae]nces?|ées?|ures?|ades?|aines?|esses?|ies?|udes?|euses?|illes?|elles?|ites?|ines?)"
        r"|(?:heure|minute|seconde|personne|fois|place|table|chambre|nuit|page|carte|pizza|adresse|ligne|porte|rue|ville"
        r"|question|demande|commande|tasse|livre|tonne|mère|femme|fille|tranche|part|bière|lettre|offre|date|tâche|photo|vidéo|moto|auto|radio|clé|salle|boîte|liste|route"
        r"|gare|note|pomme|poire|banane|orange|tomate|soupe|chaise|église|valise|entreprise|réponse|chose|dose|pause"
        r"|feuille|famille|langue|marque|banque|boutique|pièce|étoile|école|règle|douche|tête|fête|étape|équipe|coupe"
        r"|couleur|fleur|erreur|station|semaine|journée|année|clef|main|œuvre|touche|zone|marche|caisse)s?"
    ),
    "de": re.compile(
        r"[A-ZÄÖÜ].*(?:e|ung|heit|keit|schaft|ion|tät|ur|ik|ei)"
        r"|\w*(?:[Pp]izza|[Ll]iga|[Kk]amera|[Ff]irma|[Ss]aison|[Ff]rau|[Nn]acht|[Zz]ahl|[Pp]erson|[Uu]hrzeit)"
    ),
}
"""What nouns of the feminine gender mostly end in …"""
_NOT_FEMININE = re.compile(
    r"d[ií]as?|\w*(?:gram|tem|lem|clim|idiom|map)as?|planetas?|aromas?|Name|Junge|Kunde|Kollege|Ende|Käse|Kaffee|Auge"
    r"|\w*(?:ème|ire|musée|lycée|parapluie|génie|incendie|comité|côté|été|traité)s?|cinemas?|telefonemas?"
)
"""… but these."""
_MASCULINE: Mapping[str, re.Pattern[str]] = {
    "es": re.compile(
        r".*(?:o|os|or|ores|ón|ones|aje|ajes|al|ales|el|eles|mes|meses)|\w*(?:gram|tem|lem)as?|d[ií]as?"
        r"|(?!(?:entre|sobre|desde|siempre|antes|hace)\b)\w{3,}es?"
    ),
    "it": re.compile(r".*(?:o|i|ore|ale|ile|one|ese|[ae]nte)|\w*(?:gramm|tem|lem)a|euro|bar|film|computer|taxi"),
    "de": re.compile(r"[A-ZÄÖÜ]\w+"),
}
"""Masculine ones; in the other languages their form is that of the figure."""


def is_feminine(noun: str, code: str) -> bool:
    """Whether a noun is feminine, as far as its end tells."""
    pattern = _FEMININE.get(code)
    return bool(pattern and pattern.fullmatch(noun) and not _NOT_FEMININE.fullmatch(noun))


def is_other(word: str, language: Language) -> bool:
    """Whether a word behind a number is no noun, or one of a date."""
    return (word in language.listed("starters") and word != "ora") or word in language.months


def nouns(edits: Edits, language: Language) -> None:
    """Say numbers that end in one (and two, in Portuguese) as the noun behind them asks for."""
    code = language.code
    if code not in _FEMININE:
        return
    for m in _COUNTED.finditer(edits.text):
        number, noun = m["number"], m["noun"]
        if code == "de" and number != "1":
            continue
        if not edits.free(*m.span()) or is_other(noun.lower(), language):
            continue
        before = _BEFORE.search(edits.text[max(0, m.start() - 40) : m.start()])
        if before and before[1].lower() in language.listed("numbered"):
            continue  # room 1 costs …
        feminine = is_feminine(noun, code)
        masculine = _MASCULINE.get(code)
        if not feminine and not (masculine and masculine.fullmatch(noun)):
            continue
        said = agreeing(number, feminine, language, noun)
        if said != number:
            edits.match(m, said, "number")
