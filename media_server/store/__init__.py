"""What outlasts the process: keys, tokens and call records, in SQLite or PostgreSQL."""

from media_server.store.database import Database, missing_file, not_written, reason_of
from media_server.store.ending import CallStatus
from media_server.store.facts import Fact, Facts, Known, Whose
from media_server.store.keys import MAX_LIMIT, MAX_TENANT, TENANT, Key, Keys, Scope
from media_server.store.outbox import Delivery, DeliveryState, Outbox, Subscription
from media_server.store.records import ALL_CALLS, CallFilter, CallRecord, RecordedEvent, Records
from media_server.store.tokens import BY_ORIGIN, PREFIXES, Grant, TokenKind, Tokens

__all__ = [
    "ALL_CALLS",
    "BY_ORIGIN",
    "MAX_LIMIT",
    "MAX_TENANT",
    "PREFIXES",
    "TENANT",
    "CallFilter",
    "CallRecord",
    "CallStatus",
    "Database",
    "Delivery",
    "DeliveryState",
    "Fact",
    "Facts",
    "Grant",
    "Key",
    "Keys",
    "Known",
    "Outbox",
    "RecordedEvent",
    "Records",
    "Scope",
    "Subscription",
    "TokenKind",
    "Tokens",
    "Whose",
    "missing_file",
    "not_written",
    "reason_of",
]
