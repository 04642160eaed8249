"""Terms of models that have to be agreed to before they are fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from media_server.errors import MediaServerError
from media_server.packs.catalogue import Model

__all__ = ["ConsentError", "still_to_accept"]


class ConsentError(MediaServerError):
    """Terms are not agreed to, or others than those of the chosen models are."""

    def __init__(self, message: str) -> None:
        super().__init__("licence_not_accepted", message)


def still_to_accept(models: Iterable[Model], accepted: Sequence[str]) -> list[Model]:
    """The models whose commercial use is not plainly allowed and whose terms are not among those `accepted`.

    Raises:
        ConsentError: terms were accepted under which none of the models is.
    """
    restricted = [m for m in models if m.terms is not None]
    for terms in accepted:
        if terms not in {m.terms for m in restricted}:
            need = "; ".join(f"--accept-licence {m.terms} for {m.id}" for m in restricted)
            raise ConsentError(
                f"--accept-licence {terms}: none of the chosen models is under these terms. "
                + (f"What there is to accept: {need}." if need else "There is nothing to accept.")
            )
    return [m for m in restricted if m.terms not in accepted]
