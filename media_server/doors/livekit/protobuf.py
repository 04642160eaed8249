"""Protocol Buffers (proto3): bytes to dictionaries and back, after a table of fields."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Codec", "Message", "Schema", "WireError"]

Message = dict[str, Any]
"""Fields by name. A field that is absent has its type's default value."""
Schema = Mapping[str, Mapping[str, tuple[int, str]]]
"""The fields of each message: number and type.

| type | on the wire | value |
| --- | --- | --- |
| `s` | length-delimited | `str` |
| `b` | length-delimited | `bytes` |
| `i` | varint: bool, enum, int32, int64, uint32, uint64 | `int` |
| `f` | 32 bits | `float` |
| `m` | map<string, string> | `dict[str, str]` |
| a message's name | length-delimited | `Message` |

With `*` behind it the field is repeated, and its value is a list.
"""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
DEFAULTS: Mapping[str, Any] = {"s": "", "b": b"", "i": 0, "f": 0.0, "m": {}}
MAX_VALUES = 2000
"""Maximum values of one decoded message, nested ones included: its decoding takes a few milliseconds at most."""
_PAIR = "map entry"


class WireError(ValueError):
    """The bytes are not a message of the expected kind."""


class Codec:
    """Encodes and decodes the messages of a schema.

    Args:
        oneofs: messages whose fields are sent even when they are empty, since which one is there is the message.
    """

    def __init__(self, schema: Schema, oneofs: frozenset[str] = frozenset()) -> None:
        self._schema = {**schema, _PAIR: {"key": (1, "s"), "value": (2, "s")}}
        self._oneofs = oneofs
        self._by_number = {
            name: {number: (field, kind) for field, (number, kind) in fields.items()}
            for name, fields in self._schema.items()
        }

    def encode(self, name: str, message: Mapping[str, Any]) -> bytes:
        """The bytes of a message. Default values are left out, as proto3 wants it."""
        out = bytearray()
        for field, value in message.items():
            number, kind = self._schema[name][field]
            if kind == "i*":
                if value:
                    out += _delimited(number, b"".join(map(_varint, value)))
            elif kind.endswith("*"):
                for each in value:
                    out += self._field(number, kind[:-1], each)
            elif kind not in DEFAULTS or value != DEFAULTS[kind] or name in self._oneofs:
                out += self._field(number, kind, value)
        return bytes(out)

    def decode(self, name: str, data: bytes) -> Message:
        """The fields of a message that are known; others are skipped.

        Raises:
            WireError: the bytes are cut, malformed, or hold more than `MAX_VALUES` values.
        """
        return self._decode(name, data, itertools.count(1))

    def _field(self, number: int, kind: str, value: Any) -> bytes:
        match kind:
            case "i":
                return _varint(number << 3 | VARINT) + _varint(int(value))
            case "f":
                return _varint(number << 3 | FIXED32) + struct.pack("<f", value)
            case "m":
                pairs = (self.encode(_PAIR, {"key": k, "value": v}) for k, v in value.items())
                return b"".join(_delimited(number, pair) for pair in pairs)
            case "s":
                return _delimited(number, value.encode())
            case "b":
                return _delimited(number, value)
            case _:
                return _delimited(number, self.encode(kind, value))

    def _decode(self, name: str, data: bytes, counted: Iterator[int]) -> Message:
        fields, message, at = self._by_number[name], Message(), 0
        while at < len(data):
            key, at = _read_varint(data, at)
            wire = key & 7
            raw, at = _read_value(data, at, wire)
            if next(counted) > MAX_VALUES:
                raise WireError(f"a message has more than {MAX_VALUES} values")
            field, kind = fields.get(key >> 3, ("", ""))
            if not field:
                continue
            if kind == "i*" and isinstance(raw, bytes) and wire == LENGTH:
                message.setdefault(field, []).extend(_packed(raw, counted))
                continue
            value = self._value(kind.rstrip("*"), wire, raw, counted)
            if kind.endswith("*"):
                message.setdefault(field, []).append(value)
            elif kind == "m":
                message.setdefault(field, {}).update(value)
            else:
                message[field] = value
        return message

    def _value(self, kind: str, wire: int, raw: int | bytes, counted: Iterator[int]) -> Any:
        wanted = {"i": VARINT, "f": FIXED32}.get(kind, LENGTH)
        if wire != wanted:
            raise WireError(f"a field of type {kind} has the wire type {wire}")
        if isinstance(raw, int):
            return raw - (1 << 64) if raw >> 63 else raw
        match kind:
            case "f":
                return struct.unpack("<f", raw)[0]
            case "s":
                try:
                    return raw.decode()
                except UnicodeDecodeError as wrong:
                    raise WireError("a text is not UTF-8") from wrong
            case "b":
                return raw
            case "m":
                pair = self._decode(_PAIR, raw, counted)
                return {pair.get("key", ""): pair.get("value", "")}
            case _:
                return self._decode(kind, raw, counted)


def _varint(n: int) -> bytes:
    n &= (1 << 64) - 1  # negative numbers have ten bytes
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _delimited(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(data)) + data


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends."""
    n = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("a message is cut")
        byte = data[at]
        at += 1
        n |= (byte & 127) << shift
        if byte < 128:
            return n & (1 << 64) - 1, at
    raise WireError("a number has more than ten bytes")


def _read_value(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    match wire:
        case 0:
            return _read_varint(data, at)
        case 2:
            size, at = _read_varint(data, at)
        case 1:
            size = 8
        case 5:
            size = 4
        case _:
            raise WireError(f"there is no wire type {wire}")
    if size > len(data) - at:
        raise WireError("a message is cut")
    return data[at : at + size], at + size


def _packed(data: bytes, counted: Iterator[int]) -> Iterator[int]:
    at = 0
    while at < len(data):
        n, at = _read_varint(data, at)
        if next(counted) > MAX_VALUES:
            raise WireError(f"a message has more than {MAX_VALUES} values")
        yield n - (1 << 64) if n >> 63 else n
