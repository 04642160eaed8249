"""Tokens of rooms as JSON Web Tokens: clients of LiveKit read when one expires, and for whom it is.

What opens a call is the secret inside (`jti`), which the database knows by its hash and uses up; it is also the key of
the signature, so whoever changes the claims without knowing the whole token makes one that is refused. Nothing of the
claims is relied on: what a token settles stands in the database.
"""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from typing import Any

import jwt

__all__ = ["encode", "identity_of", "secret_of"]

ALGORITHM = "HS256"
SKEW_S = 60
"""How far the clocks of clients may be behind."""
LONGEST = 4096
"""Characters of a token."""
MAX_IDENTITY = 200


def encode(secret: str, room: str, identity: str, ttl_s: float) -> str:
    """A token for one room.

    Args:
        secret: what the server knows it by.
        identity: of the caller, unique in the room.
    """
    now = int(time.time())
    video = {"room": room, "roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True}
    claims = {"jti": secret, "sub": identity, "nbf": now - SKEW_S, "exp": now + max(1, int(ttl_s)), "video": video}
    return jwt.encode(claims, _key(secret), ALGORITHM)


def secret_of(token: str) -> str | None:
    """The secret inside a room's token; None where it is none, or was changed."""
    claims = _claims(token)
    return claims["jti"] if claims else None


def identity_of(token: str) -> str:
    """Who the caller is in the room; empty where the token is none."""
    claims = _claims(token)
    return claims["sub"] if claims else ""


@lru_cache(maxsize=1024)
def _claims(token: str) -> dict[str, Any] | None:
    if len(token) > LONGEST or token.count(".") != 2:
        return None
    try:
        secret = jwt.decode(token, options={"verify_signature": False}).get("jti")
        if not isinstance(secret, str):
            return None
        # the database says when it expires: a client that comes back shows the same one for as long as a call lasts
        claims: dict[str, Any] = jwt.decode(
            token, _key(secret), [ALGORITHM], options={"verify_exp": False, "require": ["jti", "sub"]}
        )
    except (jwt.PyJWTError, ValueError, TypeError, UnicodeError, RecursionError):
        return None
    identity = claims["sub"]
    return claims if isinstance(identity, str) and 0 < len(identity) <= MAX_IDENTITY else None


def _key(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
