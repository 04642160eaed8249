"""What participants are told to be: what they say of themselves is kept as far as it goes."""

from __future__ import annotations

import pytest

from media_server.doors.livekit.participants import MAX_TEXT, Participant


def test_a_participant_describes_itself() -> None:
    ada = Participant("ada")
    assert ada.describe("gold", "Ada", {"page": "prices", "step": "1"})
    assert ada.describe("", "", {"page": "", "step": "2"})
    assert (ada.metadata, ada.name, ada.attributes, ada.version) == ("gold", "Ada", {"step": "2"}, 3)


@pytest.mark.parametrize(
    ("metadata", "attributes"),
    [("x" * (MAX_TEXT + 1), {}), ("", {"a": "x" * MAX_TEXT}), ("", {f"a{n}": "1" for n in range(33)})],
)
def test_too_much_of_it_is_not_kept(metadata: str, attributes: dict[str, str]) -> None:
    ada = Participant("ada", attributes={"page": "prices"})
    assert not ada.describe(metadata, "", attributes)
    assert (ada.metadata, ada.attributes, ada.version) == ("", {"page": "prices"}, 1)
