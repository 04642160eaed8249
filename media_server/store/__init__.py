"""What outlasts the process: keys, tokens and call records, in SQLite or PostgreSQL."""

from media_server.store.database import Database
from media_server.store.keys import Key, Keys, Scope
from media_server.store.records import CallRecord, CallStatus, RecordedEvent, Records
from media_server.store.tokens import Grant, TokenKind, Tokens

__all__ = [
    "CallRecord",
    "CallStatus",
    "Database",
    "Grant",
    "Key",
    "Keys",
    "RecordedEvent",
    "Records",
    "Scope",
    "TokenKind",
    "Tokens",
]
