"""What clients of other products send, which know more than is read here, and less."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["ForeignModel"]


class ForeignModel(BaseModel):
    """What clients of other products send: fields that are not known are ignored, and null is as good as no value."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {k: v for k, v in given.items() if v is not None} if isinstance(given, dict) else given
