"""Adds the durations of phonemes to the outputs of a Piper file, in memory and without the `onnx` package.

Piper's models compute how long each phoneme lasts and round it up: the output of their one `Ceil` node, which most
published files keep to themselves. Only these fields of ONNX's protobuf messages are touched: `ModelProto.graph` (7),
`GraphProto.node` (1) and `output` (12), `NodeProto.output` (2) and `op_type` (4), `ValueInfoProto.name` (1).
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["with_durations"]

_GRAPH, _NODE, _OUTPUT = 7, 1, 12
_NODE_OUTPUT, _OP_TYPE = 2, 4
_NAME = 1
_LENGTHS = {1: 8, 5: 4}
"""Bytes of a value by its wire type; 0 is a varint, 2 has its length before it."""


def with_durations(model: bytes) -> bytes | None:
    """The model with the durations as its last output; `None` if they cannot be found or are an output already."""
    try:
        graph = next((span for number, *span in _fields(model, 0, len(model)) if number == _GRAPH), None)
        if graph is None:
            return None
        at, start, end = graph
        rounded, outputs = set[bytes](), set[bytes]()
        for number, _, first, last in _fields(model, start, end):
            if number == _NODE:
                rounded |= _outputs_of_ceil(model, first, last)
            elif number == _OUTPUT:
                outputs |= {model[a:b] for n, _, a, b in _fields(model, first, last) if n == _NAME}
    except (IndexError, ValueError):
        return None
    if len(rounded) != 1 or rounded & outputs:
        return None
    added = _field(_OUTPUT, _field(_NAME, rounded.pop()))
    return b"".join((model[:at], _key(_GRAPH), _varint(end - start + len(added)), model[start:end], added, model[end:]))


def _outputs_of_ceil(model: bytes, start: int, end: int) -> set[bytes]:
    fields = [(number, model[a:b]) for number, _, a, b in _fields(model, start, end) if number in (2, 4)]
    if (_OP_TYPE, b"Ceil") not in fields:
        return set()
    return {value for number, value in fields if number == _NODE_OUTPUT}


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number of each field, where the field begins, and where its value begins and ends.

    Raises:
        IndexError, ValueError: it is no protobuf message.
    """
    while at < end:
        begin = at
        key, at = _read_varint(data, at)
        match key & 7:
            case 0:
                start = at
                _, at = _read_varint(data, at)
            case 2:
                length, start = _read_varint(data, at)
                at = start + length
            case kind if kind in _LENGTHS:
                start, at = at, at + _LENGTHS[kind]
            case kind:
                raise ValueError(f"wire type {kind}")
        if at > end:
            raise ValueError("a field is longer than its message")
        yield key >> 3, begin, start, at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _key(number: int) -> bytes:
    return _varint(number << 3 | 2)


def _field(number: int, value: bytes) -> bytes:
    return _key(number) + _varint(len(value)) + value
