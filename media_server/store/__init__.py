"""What outlasts the process: keys and tokens, in SQLite or PostgreSQL."""

from media_server.store.database import Database
from media_server.store.keys import Key, Keys, Scope
from media_server.store.tokens import Grant, TokenKind, Tokens

__all__ = ["Database", "Grant", "Key", "Keys", "Scope", "TokenKind", "Tokens"]
