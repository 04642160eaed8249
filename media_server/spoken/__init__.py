"""Written text to what is said: clauses of a text that comes in pieces, and what is said for each of their words."""

from media_server.spoken.clauses import ClauseCutter, clauses_of
from media_server.spoken.language import LANGUAGES
from media_server.spoken.markup import Unsaid
from media_server.spoken.sentences import ends_between, whole_sentences
from media_server.spoken.speakable import speakable

__all__ = ["LANGUAGES", "ClauseCutter", "Unsaid", "clauses_of", "ends_between", "speakable", "whole_sentences"]
