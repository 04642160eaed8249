"""The rules by which written text is said, in the order in which they look at it: the most particular first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.rules.abbreviations import abbreviations, patterns
from media_server.spoken.rules.addresses import addresses
from media_server.spoken.rules.calendar import dates, short_dates, times
from media_server.spoken.rules.codes import codes, cued_numbers, spelled, versions
from media_server.spoken.rules.coordinates import coordinates
from media_server.spoken.rules.fractions import fractions
from media_server.spoken.rules.measures import measures, per
from media_server.spoken.rules.money import money
from media_server.spoken.rules.nouns import nouns
from media_server.spoken.rules.ordinals import ordinals, roman
from media_server.spoken.rules.plain import numbers, scientific
from media_server.spoken.rules.signs import signs
from media_server.spoken.rules.spans import spans
from media_server.spoken.rules.telephone import telephone
from media_server.spoken.rules.verses import verses

__all__ = ["NUMERIC", "RULES"]

RULES: Sequence[Callable[[Edits, Language], None]] = (
    addresses,
    verses,
    spans,
    coordinates,
    patterns,
    dates,
    times,
    codes,
    telephone,
    cued_numbers,
    versions,
    scientific,
    money,
    fractions,
    measures,
    per,
    short_dates,
    roman,
    ordinals,
    abbreviations,
    signs,
    spelled,
    nouns,
    numbers,
)

NUMERIC = frozenset(
    (
        verses,
        coordinates,
        times,
        codes,
        telephone,
        cued_numbers,
        versions,
        scientific,
        fractions,
        short_dates,
        ordinals,
        nouns,
        numbers,
    )
)
"""Rules that find nothing in a text without figures."""
