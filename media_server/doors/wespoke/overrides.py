"""What a page of Wespoke changes about an assistant for one call."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from media_server.errors import ClientError
from media_server.http.body import validated

__all__ = ["settled_by"]

MAX_TOKENS = 4096
MAX_WARNED_S = 10.0
"""How long before the end of a call that is silent the caller is asked for, at most."""
SETTINGS = {
    "systemPrompt": "prompt", "temperature": "temperature", "maxResponseTokens": "max_reply_tokens",
    "recordingEnabled": "recording", "endCallAfterSilence": "idle_s",
}  # fmt: skip
"""Its names of settings that a page may change only where the agent lets clients, and ours."""
OWN = frozenset({"variableValues", "firstMessage"})
"""What every page may change."""


def _simple(value: object) -> object:
    """A value that can be said; nothing, where the page does not know it."""
    if value is None:
        return ""
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError("this has to be a text, a number, true or false")


class _Overrides(BaseModel):
    variableValues: dict[str, Annotated[Any, AfterValidator(_simple)]] = {}  # noqa: N815 - as it is on the wire
    firstMessage: Annotated[str, Field(max_length=4000)] | None = None  # noqa: N815
    systemPrompt: Annotated[str, Field(max_length=20_000)] | None = None  # noqa: N815
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    maxResponseTokens: (  # noqa: N815
        Annotated[int, Field(ge=1), AfterValidator(lambda count: min(count, MAX_TOKENS))] | None
    ) = None
    recordingEnabled: bool | None = None  # noqa: N815
    endCallAfterSilence: Annotated[float, Field(ge=0, le=3600)] | None = None  # noqa: N815


def settled_by(given: Mapping[str, Any], allowed: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the agent that overrides change, and the variables that they fill.

    Args:
        allowed: the agent's `client_settings`.

    Raises:
        ClientError: 403 `override`: one that is not for pages; 400: one that cannot be.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    if refused := [name for name in wanted if name not in OWN and SETTINGS.get(name) not in allowed]:
        message = f"assistantOverrides: {', '.join(sorted(refused))}: not for pages to change."
        raise ClientError("override", message, status=403)
    overrides = validated(_Overrides, wanted)
    changes: dict[str, Any] = {}
    if overrides.firstMessage is not None:
        changes["greeting"] = overrides.firstMessage
    changes |= {ours: getattr(overrides, name) for name, ours in SETTINGS.items() if name in wanted}
    if (silence_s := overrides.endCallAfterSilence) is not None:
        warned_s = min(MAX_WARNED_S, silence_s / 2)
        changes |= {"idle_s": silence_s - warned_s, "idle_hang_up_s": warned_s}
    return changes, overrides.variableValues
