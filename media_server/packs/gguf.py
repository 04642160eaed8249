"""Reading what a GGUF file says of itself: its metadata, and whether all of its tensors are there.

The format is described in docs/gguf.md of the ggml project; all numbers are little-endian.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from media_server.packs.local import PackError
from media_server.plain import plain

__all__ = ["Gguf", "parts_of", "read_gguf"]

KEYS_LIMIT, TENSORS_LIMIT, ENTRIES_LIMIT = 10_000, 200_000, 5_000_000
TEXT_LIMIT, NAME_LIMIT = 4 << 20, 200
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66),
    17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54),
    35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip
"""Weights in a block, and its bytes, for each type of tensor."""
PART = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


class _Length(int):
    """How long a list is, whose members are not kept."""


@dataclass(frozen=True, slots=True)
class Gguf:
    """What a file says of itself. Numbers and short texts only; of lists their lengths."""

    metadata: dict[str, Any]
    tensors: int

    def _of_architecture(self, key: str) -> Any:
        return self.metadata.get(f"{self.architecture}.{key}")

    def _text(self, key: str) -> str:
        """A text of one line; empty where the file has none, or something else."""
        value = self.metadata.get(key)
        return " ".join(plain(value).split())[:NAME_LIMIT] if isinstance(value, str) else ""

    def _count(self, key: str) -> int:
        """A number of the architecture; 0 where the file has none, or something else."""
        value = self._of_architecture(key)
        return value if type(value) is int else 0

    @property
    def architecture(self) -> str:
        return self._text("general.architecture")

    @property
    def name(self) -> str:
        return self._text("general.name")

    @property
    def licence(self) -> str:
        return self._text("general.license")

    @property
    def context(self) -> int:
        """Tokens that the model was trained on; 0 where the file does not say."""
        return self._count("context_length")

    @property
    def template(self) -> str | None:
        """The chat template."""
        found = self.metadata.get("tokenizer.chat_template")
        return found if isinstance(found, str) and found.strip() else None

    @property
    def makes_embeddings(self) -> bool:
        """Whether the model turns text into vectors and writes none."""
        encoders = self.architecture in ("t5encoder", "bert") or "bert" in self.architecture
        return encoders or self._of_architecture("pooling_type") not in (None, 0)

    @property
    def cache_per_token(self) -> int | None:
        """Bytes of a token in a 16-bit KV cache; None where the layers differ or the file does not say."""
        layers, heads = self._count("block_count"), self._count("attention.head_count")
        kv_heads = self._count("attention.head_count_kv") or heads
        width = self._count("embedding_length")
        differ = isinstance(self._of_architecture("attention.head_count_kv"), _Length)
        if differ or min(layers, heads, kv_heads, width) <= 0:
            return None
        key = self._count("attention.key_length") or width // heads
        value = self._count("attention.value_length") or width // heads
        return layers * kv_heads * (key + value) * 2


def read_gguf(path: Path) -> Gguf:
    """Read the head of a file, and check by its size that all of its tensors are in it.

    Raises:
        PackError: it is no GGUF file, or damaged, or not complete.
    """
    try:
        with path.open("rb") as f:
            size = os.fstat(f.fileno()).st_size
            found, needed = _Reader(f, size).head()
    except _BadFile as e:
        raise PackError(f"{path.name} {e}") from e
    except OSError as e:
        raise PackError(f"{path} cannot be read: {e.strerror or e}.") from e
    if size < needed:
        raise PackError(f"{path.name} is not complete: it has {size} bytes of {needed}. Get it again.")
    return found


def parts_of(path: Path) -> list[Path]:
    """The files of a model that is split in several (`…-00001-of-00003.gguf`), or this one alone.

    Raises:
        PackError: one is missing.
    """
    matched = PART.match(path.name)
    if not matched:
        return [path]
    count = int(matched["count"])
    if not 0 < int(matched["number"]) <= count <= 1000:
        raise PackError(f"{path.name} is not named as a part of a model is.")
    parts = [path.with_name(f"{matched['stem']}-{n:05d}-of-{count:05d}.gguf") for n in range(1, count + 1)]
    missing = [p.name for p in parts if not p.is_file()]
    if missing:
        raise PackError(f"{path.name} is one of {count} parts, of which {', '.join(missing[:5])} is not beside it.")
    return parts


class _BadFile(Exception):
    pass


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def head(self) -> tuple[Gguf, int]:
        """The metadata, and the bytes that a complete file has."""
        if self._bytes(4) != b"GGUF":
            raise _BadFile("is not a GGUF file: it does not begin as one.")
        version = self._number("I")
        if version in (2 << 24, 3 << 24):
            raise _BadFile("was made for big-endian machines. Get the usual file of the same model.")
        if version not in (2, 3):
            raise _BadFile(f"is in version {version} of GGUF; 2 and 3 can be read.")
        tensors, keys = self._number("Q"), self._number("Q")
        if tensors > TENSORS_LIMIT or keys > KEYS_LIMIT:
            raise _BadFile("is damaged: it says that it has more entries than any model has.")
        metadata: dict[str, Any] = {}
        for _ in range(keys):
            name = self._text()
            metadata[name] = self._value(self._number("I"))
        end = 0
        for _ in range(tensors):
            end = max(end, self._tensor_end())
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise _BadFile("is damaged: its alignment is not a number that can be.")
        at = self._file.tell()
        return Gguf(metadata, tensors), (-(-at // alignment) * alignment + end) if tensors else at

    def _tensor_end(self) -> int:
        self._text()
        dimensions = self._number("I")
        if dimensions > 8:
            raise _BadFile("is damaged: a tensor has too many dimensions.")
        count = 1
        for _ in range(dimensions):
            count *= self._number("Q")
        kind, offset = self._number("I"), self._number("Q")
        block, length = BLOCKS.get(kind, (1, 0))  # of a type that is not known at least where it begins
        offset = int(offset)
        return offset + -(-count // block) * length

    def _value(self, kind: int) -> Any:
        if kind in NUMBERS:
            return self._number(NUMBERS[kind])
        if kind == STRING:
            return self._text()
        if kind != ARRAY:
            raise _BadFile(f"is damaged: it has a value of the unknown type {kind}.")
        kind, count = self._number("I"), self._number("Q")
        if count > ENTRIES_LIMIT:
            raise _BadFile("is damaged: it says that it has a longer list than any model has.")
        if kind in NUMBERS:
            self._skip(count * struct.calcsize("<" + NUMBERS[kind]))
        elif kind == STRING:
            for _ in range(count):
                self._skip(self._number("Q"))
        else:
            raise _BadFile(f"is damaged: it has a list of the type {kind}.")
        return _Length(count)

    def _text(self) -> str:
        length = self._number("Q")
        if length > TEXT_LIMIT:
            raise _BadFile("is damaged: it says that it has a longer text than any model has.")
        return self._bytes(length).decode("utf-8", "replace")

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack("<" + form, self._bytes(struct.calcsize("<" + form)))
        return value

    def _bytes(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) < length:
            raise _BadFile("is not complete: it ends within its head. Get it again.")
        return data

    def _skip(self, length: int) -> None:
        if length > self._size - self._file.tell():
            raise _BadFile("is not complete: it ends within its head. Get it again.")
        self._file.seek(length, os.SEEK_CUR)
