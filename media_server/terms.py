"""What is agreed on for a call before it begins: the part that a token seals, and what the client says beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from media_server.agents import Tool, client_tool
from media_server.errors import ClientError
from media_server.events import Limits

__all__ = ["ListeningTerms", "Terms", "ToolTerms", "Variables", "read_sealed"]

Variables = Mapping[str, str | int | float | bool]
VERSION: Literal[1] = 1
"""The form in which terms are kept under tokens. Raise it with a change that older servers would misread."""


class _Sealable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION


_Model = TypeVar("_Model", bound=_Sealable)


class ToolTerms(BaseModel):
    """A tool that runs in the client."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    timeout_s: float

    @classmethod
    def of(cls, tool: Tool) -> Self:
        """The terms of a client's tool."""
        parameters = dict(tool.parameters)
        return cls(name=tool.name, description=tool.description, parameters=parameters, timeout_s=tool.timeout_s)

    def tool(self) -> Tool:
        """The tool, as an agent has it."""
        return client_tool(self.name, self.description, self.parameters, timeout_s=self.timeout_s)


class Terms(_Sealable):
    """The terms of one call. Where both say something, what a token has sealed wins over what the client says.

    Args:
        call_id: the call's id, where it was given out before the call began.
        changes: settings of the agent for this call.
        variables: values that fill the agent's prompt and greeting.
        tools: tools of the client, beside the agent's.
        dialect: the name of the door whose dialect is spoken; empty for that of the line.
        dialect_options: the options with which that dialect is made.
        metadata: what is known of the call: for its events, its record and the agent's code.
        client_metadata: the part of it that is the client's word alone.
        sealed_metadata: the part of it that a program vouches for: no page can say it.
        limits: what the call is limited to, as the client is told it.
    """

    call_id: str = ""
    changes: dict[str, Any] = {}
    variables: dict[str, str | int | FiniteFloat | bool] = {}
    tools: tuple[ToolTerms, ...] = ()
    dialect: str = ""
    dialect_options: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    client_metadata: dict[str, Any] = {}
    sealed_metadata: dict[str, Any] = {}
    limits: Limits | None = None

    def joined_by(self, metadata: Mapping[str, Any], variables: Variables, tools: Sequence[Tool] = ()) -> Terms:
        """These terms with what the client says when it calls, and the tools that it brings."""
        added = {
            "metadata": {**metadata, **self.metadata},
            "client_metadata": dict(metadata),
            "variables": {**variables, **self.variables},
            "tools": (*map(ToolTerms.of, tools), *self.tools),
        }
        return self.model_copy(update=added)

    def sealed(self) -> dict[str, Any]:
        """The part that a token seals, as JSON can hold it; the metadata are kept beside it."""
        beside = {"metadata", "client_metadata", "sealed_metadata", "limits"}
        return self.model_dump(exclude=beside, exclude_defaults=True) | {"version": VERSION}


class ListeningTerms(_Sealable):
    """What somebody who listens to calls may hear and do.

    Args:
        agents: the agents whose calls may be heard.
        call_id: the one call; empty for all.
        scope: `participate` may have something said; `supervise` may take the call over.
    """

    agents: tuple[str, ...]
    call_id: str = ""
    scope: Literal["observe", "participate", "supervise"] = "observe"

    def sealed(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def read_sealed(kind: type[_Model], sealed: Mapping[str, Any]) -> _Model:
    """Terms as they were sealed under a token.

    Raises:
        ClientError: 401 `token_expired`: another version of the server sealed them.
    """
    try:
        return kind.model_validate(sealed)
    except ValidationError as wrong:
        message = "Another version of the server made this token; ask for a new one."
        raise ClientError("token_expired", message, status=401) from wrong
