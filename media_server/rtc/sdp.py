"""Reading session descriptions (RFC 8866) and trickle ICE fragments (RFC 8840).

What cannot be read is refused with its line where the call needs it, and passed over where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from media_server.errors import ClientError
from media_server.rtc.agreed import Codec

__all__ = ["Credentials", "Fingerprint", "Fragment", "Offer", "Section", "parse_fragment", "parse_offer"]

MAX_LINES = 6000
MAX_SECTIONS = 64
"""Maximum media sections of a description: some clients offer one for each of a conference's pictures, others one more
each time that they publish."""
MAX_FORMATS = 128
"""Maximum payload types of a section; RTP has no more."""
MAX_SHOWN = 60
"""Characters of a line in an error."""
CREDENTIAL = re.compile(r"[A-Za-z0-9+/=_-]{1,256}")
"""RFC 8839 section 5.4, but for the lengths: some clients have shorter ones, and `=`, `_` or `-`."""
CANDIDATE = re.compile(r"\S+ \d{1,5} \S+ \d{1,10} \S+ \d{1,5} typ \S+( .*)?", re.ASCII)
FINGERPRINT = re.compile(r"([0-9A-Fa-f]{2}:){31,63}[0-9A-Fa-f]{2}")
RTPMAP = re.compile(r"(\d{1,3})\s+([^\s/]+)/(\d{1,6})(?:/(\d{1,2}))?\s*", re.ASCII)
HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Bytes of the hashes that a certificate is known by."""
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
STATIC = {"0": ("pcmu", 8000), "8": ("pcma", 8000), "9": ("g722", 8000)}
"""Payload types that need no `a=rtpmap` (RFC 3551 section 6)."""
PAYLOAD_TYPES = frozenset(range(128)) - frozenset(range(64, 96))
"""Those of RTP where RTCP comes over the same transport (RFC 5761 section 4)."""
SCTP_PORT = 5000
DEFAULT_MESSAGE_SIZE = 64 * 1024
"""Bytes that a client takes who does not say it (RFC 8841 section 6.1)."""

Attributes = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """One side's user name fragment and password for ICE."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a certificate, and its algorithm in lower case."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """One `m=` section, with what the session level says for it."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str
    direction: str
    codecs: tuple[Codec, ...]
    ssrcs: tuple[int, ...]
    track: str
    """The client's name for the track that it sends here (RFC 8830), or empty."""
    credentials: Credentials | None
    fingerprints: tuple[Fingerprint, ...]
    setup: str
    candidates: tuple[str, ...]
    """Candidates as in the offer, without `a=`."""
    is_bundle_only: bool
    has_rtcp_mux: bool
    sctp_port: int
    is_old_sctp: bool
    """The port stands in the `m=` line, as in drafts before RFC 8841."""
    max_message_size: int
    """Bytes that the client takes in one message; 0 where any number."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description as far as a call needs it."""

    sections: tuple[Section, ...]
    bundles: tuple[tuple[str, ...], ...]
    is_lite: bool
    """The caller answers checks and sends none."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A trickle ICE fragment; without credentials it belongs to the newest generation."""

    credentials: Credentials | None
    candidates: tuple[str, ...]
    """Candidates as the fragment has them, without `a=`."""


def parse_offer(text: str) -> Offer:
    """Read an offer, or an answer to one of the server's.

    Raises:
        ClientError: `bad_sdp`.
    """
    lines = [(number, line.strip()) for number, line in enumerate(_lines(text), 1) if line.strip()]
    if len(lines) > MAX_LINES:
        raise _bad(f"The offer has more than {MAX_LINES} lines.")
    if not lines or lines[0][1] != "v=0":
        raise _bad('The offer is not a session description (SDP); one begins with the line "v=0".')
    session, *media = _split(lines)
    if len(media) > MAX_SECTIONS:
        raise _bad(f"The offer has more than {MAX_SECTIONS} media sections.")
    if not any(line.startswith("o=") for _, line in session):
        raise _bad('The offer is not a session description (SDP): it lacks the line "o=".')
    common = _attributes(session)
    sections = tuple(_section(each, common) for each in media)
    mids = [section.mid for section in sections if section.mid]
    if len(set(mids)) != len(mids):
        raise _bad("Two media sections of the offer have the same a=mid.")
    groups = [group.split() for group in common.get("group", [])]
    bundles = tuple(tuple(dict.fromkeys(mids)) for name, *mids in (g for g in groups if g) if name == "BUNDLE")
    return Offer(sections, bundles, "ice-lite" in common)


def _lines(text: str) -> list[str]:
    # not by `splitlines`: free text may have marks in it that Unicode counts as ends of lines
    return re.split("\r\n|\n|\r", text.removeprefix("\ufeff"))


def _split(lines: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """The session level, and each media section."""
    parts: list[list[tuple[int, str]]] = [[]]
    for number, line in lines:
        if not re.match("[a-z]=", line):
            raise _bad_line(number, line, "Lines of SDP are a letter, = and a value")
        if line.startswith("m="):
            parts.append([])
        parts[-1].append((number, line))
    return parts


def _attributes(lines: list[tuple[int, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for number, line in lines:
        if not line.startswith("a="):
            continue
        name, _, value = line[2:].partition(":")
        value = value.strip()
        if name in ("ice-ufrag", "ice-pwd") and not CREDENTIAL.fullmatch(value):
            raise _bad_line(number, line, "It has characters that cannot be in it")
        if name == "candidate" and not value:
            continue  # the end of candidates, as scripts have it
        if name == "candidate" and not CANDIDATE.fullmatch(value):
            raise _bad_line(number, line, "It is no ICE candidate")
        found.setdefault(name.strip(), []).append(value)
    return found


def _section(lines: list[tuple[int, str]], common: Attributes) -> Section:
    number, first = lines[0]
    words = first[2:].split()
    port = words[1].partition("/")[0] if len(words) > 3 else ""
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and int(port) <= 65535):
        raise _bad_line(number, first, "A media section begins with its kind, port, protocol and formats")
    kind, _, protocol, *formats = words
    if len(formats) > MAX_FORMATS:
        raise _bad_line(number, first, f"It has more than {MAX_FORMATS} payload types")
    own = _attributes(lines[1:])
    either = {**common, **own}
    is_old_sctp = kind.lower() == "application" and formats[0].isdecimal()
    return Section(
        kind.lower(),
        int(port),
        protocol,
        tuple(formats),
        _first(own, "mid"),
        next((d for level in (own, common) for d in DIRECTIONS if d in level), "sendrecv"),
        tuple(_codecs(formats, own)) if kind.lower() in ("audio", "video") else (),
        tuple(dict.fromkeys(_numbers(own.get("ssrc", [])))),
        next(iter(_first(own, "msid").split()[1:2]), ""),
        _credentials(either),
        tuple(_fingerprints(either.get("fingerprint", []))),
        _first(either, "setup").lower(),
        tuple(f"candidate:{value}" for value in own.get("candidate", [])),
        "bundle-only" in own,
        "rtcp-mux" in own,
        next(_numbers(formats[:1] if is_old_sctp else own.get("sctp-port", [])), SCTP_PORT),
        is_old_sctp,
        next(_numbers(own.get("max-message-size", [])), DEFAULT_MESSAGE_SIZE),
    )


def _codecs(formats: list[str], own: Attributes) -> Iterator[Codec]:
    maps = {m[1]: m for value in own.get("rtpmap", []) if (m := RTPMAP.fullmatch(value))}
    parameters = {payload: rest for payload, _, rest in (value.partition(" ") for value in own.get("fmtp", []))}
    for payload in dict.fromkeys(formats):
        if not (payload.isascii() and payload.isdecimal() and len(payload) < 4 and int(payload) in PAYLOAD_TYPES):
            continue
        if found := maps.get(payload):
            name, clock_hz, channels = found[2].lower(), int(found[3]), int(found[4] or 1)
        elif payload in STATIC:
            (name, clock_hz), channels = STATIC[payload], 1
        else:
            continue
        yield Codec(int(payload), name, clock_hz, channels, _parameters(parameters.get(payload, "")))


def _parameters(text: str) -> dict[str, str]:
    found = {}
    for each in text.split(";"):
        name, equals, value = each.strip().partition("=")
        if equals:
            found[name.strip().lower()] = value.strip()
        elif name:
            found[""] = name
    return found


def _credentials(attributes: Attributes) -> Credentials | None:
    username, password = _first(attributes, "ice-ufrag"), _first(attributes, "ice-pwd")
    return Credentials(username, password) if username and password else None


def _fingerprints(values: list[str]) -> Iterator[Fingerprint]:
    for each in values:
        algorithm, _, value = each.partition(" ")
        value = value.strip()
        if FINGERPRINT.fullmatch(value) and len(value) == 3 * HASHES.get(algorithm.lower(), 0) - 1:
            yield Fingerprint(algorithm.lower(), value)


def _first(attributes: Attributes, name: str) -> str:
    return next(iter(attributes.get(name, ())), "")


def _numbers(values: list[str]) -> Iterator[int]:
    """The number that each value begins with, if it has 32 bits."""
    for value in values:
        if (found := re.match(r"\d{1,10}\b", value, re.ASCII)) and int(found[0]) < 2**32:
            yield int(found[0])


def _bad(message: str) -> ClientError:
    return ClientError("bad_sdp", message)


def _bad_line(number: int, line: str, why: str) -> ClientError:
    shown = line if len(line) <= MAX_SHOWN else line[:MAX_SHOWN] + "…"
    return _bad(f"Line {number} of the offer ({shown!r}) cannot be read. {why}.")


def parse_fragment(text: str) -> Fragment:
    """Read a body of type `application/trickle-ice-sdpfrag`.

    Raises:
        ClientError: `bad_sdp_fragment`.
    """
    values: dict[str, list[str]] = {}
    for line in _lines(text):
        name, _, value = line.strip().partition(":")
        values.setdefault(name, []).append(value.strip())
    username, password = _first(values, "a=ice-ufrag"), _first(values, "a=ice-pwd")
    candidates = [each for each in values.get("a=candidate", []) if each]
    if not username and not {"a=candidate", "a=end-of-candidates"} & values.keys():
        raise _bad_fragment("has neither candidates nor credentials in it")
    if bool(username) != bool(password):
        raise _bad_fragment("has a=ice-ufrag or a=ice-pwd without the other")
    if username and not (CREDENTIAL.fullmatch(username) and CREDENTIAL.fullmatch(password)):
        raise _bad_fragment("has an a=ice-ufrag or a=ice-pwd with characters that cannot be in it")
    if any(not CANDIDATE.fullmatch(each) for each in candidates):
        raise _bad_fragment("has a line a=candidate that is no ICE candidate")
    credentials = Credentials(username, password) if username else None
    return Fragment(credentials, tuple(f"candidate:{each}" for each in candidates))


def _bad_fragment(what: str) -> ClientError:
    return ClientError("bad_sdp_fragment", f"The trickle ICE fragment (RFC 8840) {what}.")
