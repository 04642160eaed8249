"""API keys: shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func, select, update

from media_server.store.database import Database
from media_server.store.tables import KeyRow

__all__ = ["MAX_LIMIT", "MAX_TENANT", "TENANT", "Key", "Keys", "Scope", "digest"]

Scope = Literal["call", "admin"]
"""`call`: start calls and mint tokens. `admin`: everything else too."""


MAX_LIMIT = 1_000_000_000
"""The largest limit or credit of a key: more than anybody needs, and less than a database's integers hold."""
TENANT, MAX_TENANT = r"^[A-Za-z0-9_.-]*$", 64
"""What the name of a tenant may be made of, and its maximum characters."""
PREFIX = "sk_"

_ID = re.compile(r"[0-9a-f]{12}")


def digest(secret: str) -> str:
    """What is kept of a secret. It is random and long, so that no slow hash is needed."""
    # what is shown may hold any bytes, which headers bring as surrogates
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key but its secret.

    Args:
        tenant: whose agents and calls it is for; empty for the operator's own.
        agents: that it is for; None for all.
        origins: of pages that may use it; None: no page may, only programs, which send no `Origin`.
        per_minute: calls and tokens; None for any number.
        credit: what calls may still cost; None for any amount.
        max_calls: at once, on each server; None for any number.
    """

    id: str
    tenant: str
    name: str
    scopes: tuple[Scope, ...]
    agents: tuple[str, ...] | None
    origins: tuple[str, ...] | None
    per_minute: int | None
    credit: float | None
    max_calls: int | None
    created_at: float
    revoked_at: float | None

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def allows_agent(self, name: str) -> bool:
        return self.agents is None or name in self.agents


class Keys:
    """All keys of a server."""

    def __init__(self, database: Database, prefixes: Iterable[str] = ()) -> None:
        self._database = database
        # the longest first: one may begin another
        self._prefixes = sorted((PREFIX, *prefixes), key=len, reverse=True)

    async def create(
        self,
        name: str,
        scopes: Sequence[Scope] = ("call",),
        agents: Sequence[str] | None = None,
        origins: Sequence[str] | None = None,
        per_minute: int | None = None,
        tenant: str = "",
        credit: float | None = None,
        max_calls: int | None = None,
    ) -> tuple[str, Key]:
        """A new key, with its secret in front: this is the only time that it is known."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        row = KeyRow(
            id=key_id,
            hash=digest(secret),
            tenant=tenant,
            name=name,
            scopes=list(scopes),
            agents=None if agents is None else list(agents),
            origins=None if origins is None else list(origins),
            per_minute=per_minute,
            credit=credit,
            max_calls=max_calls,
            created_at=time.time(),
            revoked_at=None,
        )
        async with self._database.begin() as session:
            session.add(row)
        return f"{PREFIX}{key_id}_{secret}", _key(row)

    async def all(self) -> list[Key]:
        async with self._database.begin() as session:
            return [_key(row) for row in await session.scalars(select(KeyRow).order_by(KeyRow.created_at))]

    async def any(self, forgiven: Collection[str] = ()) -> bool:
        """Whether there is a key, or was: a revoked one counts, unless it is among `forgiven`."""
        wanted = select(KeyRow.id).limit(1)
        if forgiven:
            wanted = wanted.where(KeyRow.id.not_in(forgiven))
        async with self._database.begin() as session:
            return await session.scalar(wanted) is not None

    async def forget_revoked(self) -> int | None:
        """Forget that there were keys, which opens the server again; how many. None where one of them is still good."""
        async with self._database.begin() as session:
            # to write first waits for other writers, instead of failing after what they have written meanwhile
            revoked = await session.execute(delete(KeyRow).where(KeyRow.revoked_at.is_not(None)))
            if await session.scalar(select(KeyRow.id).limit(1)) is not None:
                await session.rollback()
                return None
            return int(revoked.rowcount)  # type: ignore[attr-defined]

    async def revoke(self, key_id: str) -> bool:
        """Whether there was such a key; from now on it opens nothing, nor do tokens that it minted."""
        async with self._database.begin() as session:
            row = await session.get(KeyRow, key_id)
            if row is None:
                return False
            row.revoked_at = row.revoked_at or time.time()
            return True

    async def add_credit(self, key_id: str, amount: float) -> float | None:
        """Add to what calls may cost; what is there now. None if there is no such key."""
        async with self._database.begin() as session:
            # in one statement: calls take from it at the same time
            more = func.coalesce(KeyRow.credit, 0.0) + amount
            added = update(KeyRow).where(KeyRow.id == key_id).values(credit=more).returning(KeyRow.credit)
            credit: float | None = (await session.execute(added)).scalar_one_or_none()
            return credit

    async def get(self, key_id: str) -> Key | None:
        async with self._database.begin() as session:
            row = await session.get(KeyRow, key_id)
        return _key(row) if row else None

    async def find(self, shown: str) -> Key | None:
        """The key that somebody shows, revoked or not; None where there is no such key."""
        prefix = next((p for p in self._prefixes if shown.startswith(p)), None)
        if prefix is None:
            return None
        key_id, _, secret = shown.removeprefix(prefix).partition("_")
        if not _ID.fullmatch(key_id):
            return None
        async with self._database.begin() as session:
            row = await session.get(KeyRow, key_id)
        if row is None or not hmac.compare_digest(row.hash, digest(secret)):
            return None
        return _key(row)


def _key(row: KeyRow) -> Key:
    return Key(
        row.id, row.tenant, row.name, tuple(row.scopes), None if row.agents is None else tuple(row.agents),  # type: ignore[arg-type]
        None if row.origins is None else tuple(row.origins), row.per_minute, row.credit, row.max_calls, row.created_at,
        row.revoked_at,
    )  # fmt: skip
