"""Protocol Buffers: what is encoded comes back, what is malformed is refused, and nothing takes long."""

from __future__ import annotations

import functools
import time
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from media_server.doors.livekit.messages import (
    SCHEMA,
    decode_packet,
    decode_request,
    encode_packet,
    encode_response,
)
from media_server.doors.livekit.protobuf import MAX_VALUES, Codec, WireError

TYPES = {"s": 9, "b": 12, "i": 3, "f": 2}


@functools.cache
def others() -> Any:
    """The same messages in Google's own implementation, made of the same table."""
    file = descriptor_pb2.FileDescriptorProto(name="room.proto", package="room", syntax="proto3")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            made = message.field.add(name=field, number=number, label=3 if kind[-1] in "*m" else 1)
            base = kind.rstrip("*")
            if base == "m":
                pair = message.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
                pair.options.map_entry = True
                pair.field.add(name="key", number=1, label=1, type=9)
                pair.field.add(name="value", number=2, label=1, type=9)
                made.type, made.type_name = 11, f".room.{name}.{pair.name}"
            elif base in TYPES:
                made.type = TYPES[base]
            else:
                made.type, made.type_name = 11, f".room.{base}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"room.{name}"))


def values(kind: str, depth: int = 0) -> st.SearchStrategy[Any]:
    match kind:
        case "s":
            return st.text(min_size=1, max_size=20)
        case "b":
            return st.binary(min_size=1, max_size=20)
        case "i":
            return st.integers(-(2**63), 2**63 - 1).filter(bool)
        case "f":
            return st.sampled_from([0.5, 1.0, -2.25])
        case "m":
            return st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=1, max_size=3)
        case _ if kind.endswith("*"):
            return st.lists(values(kind[:-1], depth + 1), min_size=1, max_size=3)
        case _:
            return messages(kind, depth + 1)


def messages(name: str, depth: int = 0) -> st.SearchStrategy[Any]:
    fields = {field: values(kind, depth) for field, (_, kind) in SCHEMA[name].items() if depth < 3 or len(kind) == 1}
    return st.fixed_dictionaries({}, optional=fields).map(lambda m: {k: v for k, v in m.items() if v or v == {}})


@given(st.data())
def test_what_is_encoded_is_read_by_another_implementation_and_comes_back(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SCHEMA)))
    message = data.draw(messages(name))
    codec = Codec(SCHEMA)
    encoded = codec.encode(name, message)
    assert codec.decode(name, encoded) == message
    theirs = others()(name)()
    theirs.ParseFromString(encoded)
    assert codec.decode(name, theirs.SerializeToString()) == message


def test_fields_that_nobody_knows_are_skipped() -> None:
    codec = Codec({"New": {"a": (1, "s"), "b": (2, "f"), "c": (3, "i*"), "d": (900, "b")}, "Old": {"a": (1, "s")}})
    assert codec.decode("Old", codec.encode("New", {"a": "x", "b": 1.5, "c": [1, 2], "d": b"y"})) == {"a": "x"}


def test_an_empty_message_is_there_all_the_same() -> None:
    assert encode_response(leave={}) == b"\x42\x00"
    assert decode_request(b"\x42\x00") == {"leave": {}}


def test_repeated_numbers_come_packed_or_not() -> None:
    codec = Codec({"M": {"n": (1, "i*")}})
    assert codec.decode("M", b"\x08\x01\x08\x02") == codec.decode("M", b"\x0a\x02\x01\x02") == {"n": [1, 2]}


WHOLE = encode_packet(
    {"user": {"payload": b"hello", "topic": "t"}, "sequence": 300, "destination_identities": ["agent"]}
)


@pytest.mark.parametrize("end", range(1, len(WHOLE)))
def test_a_message_that_is_cut_is_refused_or_shorter(end: int) -> None:
    try:
        message = decode_packet(WHOLE[:end])
    except WireError:
        return
    assert message.items() <= decode_packet(WHOLE).items()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 11,
        b"\x80" * 10 + b"\x01",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0b",
        b"\x0c",
        b"\x0f",
        b"\x12\x02\xff\xff",
        b"\x12\x05\x22\x03a\xff\xfe",
        b"\x10\x01",
        b"\x80\x01",
    ],
)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_packet(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (decode_packet, decode_request):
        try:
            decode(data)
        except WireError:
            continue


@pytest.mark.parametrize(
    "data", [b"\x80\x7d\x00" * 40_000, b"\x2a\x00" * 60_000, b"\x12\x80\x80\x04" + b"\x32\x00" * 32768], ids=len
)
def test_no_message_takes_long(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(WireError, match=str(MAX_VALUES)):
        decode_packet(data)
    assert time.process_time() - began < 0.05
