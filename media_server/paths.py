"""Where the files that travel with the package are: in a wheel inside it, in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BUNDLED_MODELS", "CHECKOUT", "CONSTRAINTS", "DOCUMENTS", "STATIC"]

_PACKAGE = Path(__file__).parent
CHECKOUT = _PACKAGE.parent


def _bundled(inside: str, beside: str) -> Path:
    path = _PACKAGE / inside
    return path if path.exists() else CHECKOUT / beside


STATIC = _bundled("_static", "static")
BUNDLED_MODELS = _bundled("_models", "models")
CONSTRAINTS = _bundled("_constraints.txt", "constraints.txt")
DOCUMENTS = _bundled("_site", "site")
"""The documents as a site, where they were built."""
