"""On whose account a call starts, and on which terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from media_server.agents import contact_of
from media_server.errors import ClientError
from media_server.store import Key
from media_server.terms import Terms

__all__ = ["CallGrant", "require_credit"]

MAX_CONTACT = 200
"""Maximum characters of a contact."""


@dataclass(frozen=True, slots=True)
class CallGrant:
    """The account on which a call starts.

    Args:
        key: the key that pays; None where nobody does.
        terms: what is settled of the call already: it wins over what the client says.
    """

    key: Key | None = None
    terms: Terms = field(default_factory=Terms)

    @property
    def key_id(self) -> str | None:
        return self.key.id if self.key else None

    @property
    def sealed_metadata(self) -> dict[str, Any]:
        """What a token has sealed of the call, never what the client says.

        A key for pages seals what pages say: that is nothing.
        """
        return {} if self.key and self.key.origins is not None else self.terms.metadata

    @property
    def contact(self) -> str | None:
        """Who calls: `contact` or `userId` of what is sealed; None for nobody."""
        return contact_of(self.sealed_metadata)[:MAX_CONTACT] or None

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The same with these settings of the agent, but for those that the terms change already."""
        terms = self.terms.model_copy(update={"changes": {**changes, **self.terms.changes}})
        return replace(self, terms=terms)


def require_credit(key: Key | None) -> None:
    """Raises `ClientError` (402) for a key that cannot pay any more."""
    if key is not None and key.credit is not None and key.credit <= 0:
        raise ClientError("no_credit", "The credit of this API key is used up.", status=402)
