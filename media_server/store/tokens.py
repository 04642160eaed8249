"""Tokens: each good for one call with one agent, for a minute."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import case, delete, update

from media_server.errors import ClientError
from media_server.jsonable import jsonable
from media_server.store.database import Database
from media_server.store.keys import digest
from media_server.store.tables import TokenRow
from media_server.terms import ListeningTerms, Terms, read_sealed

__all__ = ["BY_ORIGIN", "PREFIXES", "Grant", "TokenKind", "Tokens"]

TokenKind = Literal["webrtc", "chat", "livekit"]
AnyKind = TokenKind | Literal["room", "stream", "short", "session"]
PREFIXES: dict[AnyKind, str] = {
    "webrtc": "wrtc_",
    "chat": "cht_",
    "livekit": "lkt_",
    "room": "room_",
    "stream": "strm_",
    "short": "tmp_",
    "session": "ses_",
}
ALSO: dict[AnyKind, AnyKind] = {"webrtc": "room", "livekit": "room"}
"""Where a token of one kind is asked for, one of the other is good as well: hosted products' rooms are joined either
way."""
BY_ORIGIN = ""
"""What stands in place of a key's id where the origin of a page was enough."""
KEPT_S = 3600.0
"""How long a token is remembered that is over, to say what was wrong with it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token was good for."""

    key_id: str | None
    """The key that minted it, or `BY_ORIGIN`; None while there were no keys."""
    agent: str
    metadata: Mapping[str, Any]
    """Sealed: the page that uses the token cannot change it."""
    sealed: Mapping[str, Any]
    """The terms, as they are kept."""

    @property
    def terms(self) -> Terms:
        """The terms of the call. Raises `ClientError` (401) where another version of the server sealed them."""
        return read_sealed(Terms, self.sealed).model_copy(update={"metadata": dict(self.metadata)})

    @property
    def listening(self) -> ListeningTerms:
        """The terms of somebody who listens. Raises `ClientError` as `terms` does."""
        return read_sealed(ListeningTerms, self.sealed)


_NO_TERMS = Terms()


class Tokens:
    """All tokens of a server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mint(
        self,
        kind: AnyKind,
        agent: str,
        ttl_s: float,
        key_id: str | None,
        terms: Terms | ListeningTerms = _NO_TERMS,
    ) -> str:
        """A new token. A short key (`short`) is good for any number of calls with any agent, until it expires; a
        `session` for all that its key is for.

        Args:
            key_id: of the key that mints it, or `BY_ORIGIN`; None while there are no keys.
            terms: what is sealed under it.
        """
        token, now = PREFIXES[kind] + secrets.token_urlsafe(24), time.time()
        row = TokenRow(
            hash=digest(token),
            kind=kind,
            agent=agent,
            key_id=key_id,
            meta=jsonable(terms.metadata) if isinstance(terms, Terms) else {},
            sealed=jsonable(terms.sealed()),
            expires_at=now + ttl_s,
        )
        async with self._database.begin() as session:
            await session.execute(delete(TokenRow).where(TokenRow.expires_at < now - KEPT_S))
            session.add(row)
        return token

    async def short(self, token: str) -> Grant:
        """What a short key is good for.

        Raises:
            ClientError: 401 `token_unknown`, `token_expired`.
        """
        return await self.look(token, frozenset({"short"}))

    async def forget(self, token: str) -> None:
        """End a token before its time."""
        async with self._database.begin() as session:
            await session.execute(delete(TokenRow).where(TokenRow.hash == digest(token)))

    async def restore(self, token: str, ttl_s: float) -> None:
        """Make a token good again whose call has not come about, for so long at least."""
        now = time.time()
        longer = case((TokenRow.expires_at > now + ttl_s, TokenRow.expires_at), else_=now + ttl_s)
        restored = update(TokenRow).where(TokenRow.hash == digest(token)).values(used_at=None, expires_at=longer)
        async with self._database.begin() as session:
            await session.execute(restored, execution_options={"synchronize_session": False})

    async def look(self, token: str, kinds: Collection[str], unused: bool = False) -> Grant:
        """What a token of one of these kinds is good for, without using it up.

        Args:
            unused: it has to be one that can still be used.

        Raises:
            ClientError: 401 `token_unknown`, `token_expired`; `token_used`.
        """
        async with self._database.begin() as session:
            row = await session.get(TokenRow, digest(token))
        if row is None or row.kind not in kinds:
            raise ClientError("token_unknown", "There is no such token.", status=401)
        if unused and row.used_at is not None:
            raise ClientError("token_used", "The token was used already; each is good for one call.", status=401)
        if row.expires_at < time.time():
            raise ClientError("token_expired", "The token has expired; ask for a new one.", status=401)
        return Grant(row.key_id, row.agent, row.meta, row.sealed or {})

    async def use(self, token: str, kind: AnyKind, agent: str | None) -> Grant:
        """Use a token up. Of several who try at once, in whatever process, one succeeds.

        Args:
            agent: that it has to be for; None where the token itself says who is called.

        Raises:
            ClientError: 401 `token_unknown`, `token_used`, `token_expired`; 403 `token_wrong_kind`,
                `token_wrong_agent`.
        """
        now, key = time.time(), digest(token)
        kinds = {kind, ALSO.get(kind, kind)}
        good = (TokenRow.hash == key) & TokenRow.kind.in_(kinds)
        if agent is not None:
            good &= TokenRow.agent == agent
        good &= TokenRow.used_at.is_(None) & (TokenRow.expires_at >= now)
        settled = TokenRow.key_id, TokenRow.agent, TokenRow.meta, TokenRow.sealed
        using = update(TokenRow).where(good).values(used_at=now).returning(*settled)
        async with self._database.begin() as session:
            # to write first decides who wins; what was wrong is asked afterwards
            used = await session.execute(using, execution_options={"synchronize_session": False})
            if won := used.first():
                return Grant(won.key_id, won.agent, won.meta, won.sealed or {})
            row = await session.get(TokenRow, key)
        if row is None:
            raise ClientError("token_unknown", "There is no such token.", status=401)
        if row.kind not in kinds:
            raise ClientError("token_wrong_kind", f"The token is for {row.kind}, not for {kind}.", status=403)
        if agent is not None and row.agent != agent:
            raise ClientError("token_wrong_agent", "The token is for another agent.", status=403)
        if row.used_at is not None:
            raise ClientError("token_used", "The token was used already; each is good for one call.", status=401)
        raise ClientError("token_expired", "The token has expired; ask for a new one.", status=401)
