"""Strategies of Hypothesis that several tests share."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["JSON", "SCHEMAS"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = ("type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "required")
_LIMITS = ("maxLength", "minimum", "$ref", "pattern")
SCHEMAS = st.recursive(
    JSON | st.sampled_from([{"type": t} for t in ("string", "integer", "object", "array", "null", "boolean")]),
    lambda inner: st.dictionaries(
        st.sampled_from(_KEYS + _LIMITS),
        inner | st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_size=4,
    ),
    max_leaves=12,
)
"""What somebody may give for a JSON Schema."""
