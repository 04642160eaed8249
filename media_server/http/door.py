"""A door: what the server has to know of one protocol that clients written for another server speak."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from media_server.call.session import Dialect
from media_server.errors import ClientError

__all__ = ["DOORS", "AudioForm", "Door"]


@dataclass(frozen=True, slots=True)
class AudioForm:
    """How a product's clients want `/v1/audio`, where that is not OpenAI's form.

    Args:
        accepts: values of `Accept` that they send, and no client of OpenAI's does.
        raw_rate_hz: the rate of raw sound where they ask for none. Raw sound is what they get where they name no form.
        id_header: the header in which they look for the request's id.
        refusal: the form of its refusals.
    """

    accepts: frozenset[str]
    raw_rate_hz: int
    id_header: str
    refusal: Callable[[ClientError], web.Response]


@dataclass(frozen=True, slots=True)
class Door:
    """One protocol's routes, and how its clients differ from the server's own.

    Args:
        name: also the name under which a token keeps which dialect its call speaks.
        routes: the handlers, in one or several tables.
        dialect: makes the translator of a call that was agreed on before a line was there; takes the options that the
            token keeps. None where a call always begins on the door's own line.
        key_prefixes: beginnings that clients insist an API key has, in place of `sk_`.
        credential_names: query parameters in which the WebSocket clients show a key or a token, beside `token`.
        refusals: the form of its refusals, by beginnings of paths: also of those that no handler of its makes.
        open_paths: beginnings of paths whose answers pages of any origin may read.
        at_root: answers WebSockets whose clients are given an address without a path.
        audio: how its clients want `/v1/audio`, where they use that.
        needs_records: whether the door stays closed on a server that keeps no call records.
        prepare: is called once with the application, before it starts, to put there what the handlers share.
    """

    name: str
    routes: Sequence[web.RouteTableDef]
    dialect: Callable[..., Dialect] | None = None
    key_prefixes: Sequence[str] = ()
    credential_names: Sequence[str] = ()
    refusals: Mapping[str, Callable[[ClientError], web.Response]] = field(default_factory=dict)
    open_paths: Sequence[str] = ()
    at_root: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    audio: AudioForm | None = None
    needs_records: bool = False
    prepare: Callable[[web.Application], None] | None = None


DOORS = web.AppKey("doors", Sequence[Door])
