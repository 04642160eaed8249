"""What is wrong with a body is told, however much it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media_server.errors import ClientError
from media_server.http.body import validated
from media_server.http.sessions import _Offer

OFFER = {"agent": "x", "type": "offer", "sdp": "v=0"}


def _refused(**given: Any) -> ClientError:
    with pytest.raises(ClientError) as refused:
        validated(_Offer, OFFER | given)
    return refused.value


def test_each_field_that_does_not_fit_is_named() -> None:
    refused = _refused(variables={"a": []}, metadata=5)
    assert {problem["field"].partition(".")[0] for problem in refused.details} == {"variables", "metadata"}


def test_a_body_with_thousands_of_problems_has_a_short_answer() -> None:
    refused = _refused(variables={f"{n:04x}": [] for n in range(6000)})
    assert len(json.dumps(refused.body())) < 200
    assert "24000" in refused.message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_variable_is_a_number_that_can_be_sealed(value: float) -> None:
    assert "variables" in _refused(variables={"a": value}).message
