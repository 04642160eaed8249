"""A model's vocabulary: text to tokens and back, and which tokens are marks."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp as lib

from media_server.engines.elements import element_at
from media_server.engines.guarding import Guard, marks_like, pieces, taken_out

__all__ = ["Vocabulary"]


class Vocabulary:
    """The tokens of one model.

    Args:
        model: of llama.cpp; loaded, at least its vocabulary.
    """

    def __init__(self, model: Any) -> None:
        self.raw = lib.llama_model_get_vocab(model)
        self.size = int(lib.llama_vocab_n_tokens(self.raw))
        self._piece = ctypes.create_string_buffer(1024)
        self.bos = self.text(lib.llama_vocab_bos(self.raw))
        self.eos = self.text(lib.llama_vocab_eos(self.raw))
        self._shown: set[int] = set()

    def guard(self, template: str) -> Guard:
        """What keeps callers' text from becoming control tokens, for prompts of this template.

        Control tokens that are called like a thought or a call are given as text from now on.
        """
        control = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN
        marks = taken_out(template)
        for token in range(self.size):
            attributes = lib.llama_vocab_get_attr(self.raw, token)
            if attributes & control:
                marks.add(self.text(token))
            elif attributes & lib.LLAMA_TOKEN_ATTR_USER_DEFINED and marks_like(text := self.text(token)):
                marks.add(text)
        self._shown.update(t for mark in marks if element_at(mark, 0, ()) for t in self._alone(mark))
        return Guard(marks)

    def show(self, marks: tuple[str, ...]) -> None:
        """Have `bytes` give the text of these marks, also where they are control tokens."""
        self._shown.update(token for mark in marks for token in self._alone(mark))

    def _alone(self, mark: str) -> list[int]:
        """The token that is this mark; none where several make it up."""
        tokens = self.tokenize(mark)
        return tokens if len(tokens) == 1 else []

    def tokenize(self, prompt: str) -> list[int]:
        """The tokens of a prompt; marks that stand in it become control tokens, unless a seam parts them."""
        return [token for piece in pieces(prompt) for token in self._tokenized(piece)]

    def _tokenized(self, text: str) -> list[int]:
        raw = text.encode("utf-8", "replace")
        size = len(raw) + 16
        buffer = (lib.llama_token * size)()
        # the template writes the markers of turns itself
        n = lib.llama_tokenize(self.raw, raw, len(raw), buffer, size, False, True)
        return list(buffer[:n])

    def beginning(self, with_any: tuple[str, ...]) -> list[int]:
        """The tokens whose text begins so, behind space."""
        return [token for token in range(self.size) if self.text(token).lstrip().startswith(with_any)]

    def ends(self, token: int) -> bool:
        """Whether the token ends a reply."""
        return bool(lib.llama_vocab_is_eog(self.raw, token))

    def bytes(self, token: int) -> bytes:
        """The text of a token in a reply: none of control tokens, but for those that are to be shown."""
        n = lib.llama_token_to_piece(self.raw, token, self._piece, len(self._piece), 0, token in self._shown)
        return self._piece.raw[: max(0, n)]

    def text(self, token: int) -> str:
        """The text of any token; empty for none."""
        if token < 0:
            return ""
        n = lib.llama_token_to_piece(self.raw, token, self._piece, len(self._piece), 0, True)
        return self._piece.raw[: max(0, n)].decode("utf-8", "replace")
