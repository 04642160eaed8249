"""The tables. Times are seconds since the epoch; what is secret is there as its SHA-256 only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "CallRow", "ContactRow", "DeliveryRow", "EventRow", "FactRow", "KeyRow", "TokenRow"]


class Base(DeclarativeBase):
    pass


class KeyRow(Base):
    """An API key."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    agents: Mapped[list[str] | None] = mapped_column(JSON)
    """None for all."""
    origins: Mapped[list[str] | None] = mapped_column(JSON)
    """Origins of pages that may use it; None for any, and for no page at all."""
    per_minute: Mapped[int | None] = mapped_column(Integer)
    max_calls: Mapped[int | None] = mapped_column(Integer)
    """Calls at once; None for any number."""
    credit: Mapped[float | None] = mapped_column(Float)
    """What calls may still cost; None for any amount."""
    tenant: Mapped[str] = mapped_column(String(64), server_default="")
    created_at: Mapped[float] = mapped_column(Float)
    revoked_at: Mapped[float | None] = mapped_column(Float)


class TokenRow(Base):
    """A token for one call."""

    __tablename__ = "tokens"
    __table_args__ = (Index("tokens_expires_at", "expires_at"),)

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    agent: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str | None] = mapped_column(String(32))
    """The key that minted it; empty where a page's origin was enough, None while there were no keys."""
    meta: Mapped[dict[str, Any]] = mapped_column(JSON)
    sealed: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What else it settles of the call."""
    expires_at: Mapped[float] = mapped_column(Float)
    used_at: Mapped[float | None] = mapped_column(Float)


class CallRow(Base):
    """A call, from its first moment on."""

    __tablename__ = "calls"
    __table_args__ = (
        Index("calls_started_at", "started_at"),
        Index("calls_tenant", "tenant", "started_at"),
        Index("calls_contact", "contact", "started_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    server: Mapped[str] = mapped_column(String(200))
    """The server that conducts it."""
    tenant: Mapped[str] = mapped_column(String(64), server_default="")
    agent: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[float] = mapped_column(Float)
    ended_at: Mapped[float | None] = mapped_column(Float)
    end_reason: Mapped[str | None] = mapped_column(String(32))
    key_id: Mapped[str | None] = mapped_column(String(32))
    """Who pays."""
    contact: Mapped[str | None] = mapped_column(String(200))
    """Who calls, as a token says."""
    per_minute: Mapped[float] = mapped_column(Float, server_default="0")
    """Its price."""
    cost: Mapped[float | None] = mapped_column(Float)
    reserved: Mapped[float | None] = mapped_column(Float)
    """Set aside of the key's credit while the call goes on; None where no credit limits it, and afterwards."""
    meta: Mapped[dict[str, Any]] = mapped_column(JSON)
    first_words: Mapped[str | None] = mapped_column(String(200))
    """What the caller said first."""
    words: Mapped[str | None] = mapped_column(Text, deferred=True)
    """What both said, case-folded; None while the call goes on. It is searched, and never read."""
    turns: Mapped[int | None] = mapped_column(Integer)
    """How often the caller had the floor."""
    response_ms: Mapped[float | None] = mapped_column(Float)
    """The median wait for an answer."""


class EventRow(Base):
    """What happened in a call, as on the wire."""

    __tablename__ = "events"
    __table_args__ = (Index("events_call_id", "call_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    event: Mapped[dict[str, Any]] = mapped_column(JSON)


class ContactRow(Base):
    """A person about whom an agent has learned something."""

    __tablename__ = "contacts"
    __table_args__ = (Index("contacts_of_agents", "tenant", "agent", "contact", unique=True),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    tenant: Mapped[str] = mapped_column(String(64), server_default="")
    agent: Mapped[str] = mapped_column(String(64))
    contact: Mapped[str] = mapped_column(String(200))
    revision: Mapped[int] = mapped_column(Integer)
    """How often what is known has changed."""
    seen_at: Mapped[float] = mapped_column(Float)
    """The person's last call."""


class FactRow(Base):
    """Something that an agent has learned about a contact."""

    __tablename__ = "facts"
    __table_args__ = (Index("facts_contact_id", "contact_id", "learned_at"), Index("facts_call_id", "call_id"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    call_id: Mapped[str] = mapped_column(String(64))
    """The call in which it was learned."""
    turn: Mapped[int] = mapped_column(Integer)
    transport: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32))
    text: Mapped[str] = mapped_column(String(300))
    evidence: Mapped[str] = mapped_column(String(300))
    """The caller's words."""
    supersedes: Mapped[str | None] = mapped_column(String(32))
    """The fact whose place it took."""
    learned_at: Mapped[float] = mapped_column(Float)
    ended_at: Mapped[float | None] = mapped_column(Float)
    """When it was found to hold no more."""


class DeliveryRow(Base):
    """A message for a webhook, until it has arrived and a while longer."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_due", "server", "state", "next_at"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    message_id: Mapped[str] = mapped_column(String(64))
    """The same at every attempt."""
    server: Mapped[str] = mapped_column(String(200))
    """The server that delivers it."""
    url: Mapped[str] = mapped_column(String(2000))
    call_id: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[float] = mapped_column(Float)
    created_at: Mapped[float] = mapped_column(Float)
    error: Mapped[str | None] = mapped_column(String(500))
    """Why the last attempt failed."""
