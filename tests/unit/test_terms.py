"""The terms of a call: what a token seals comes back as it was, and wins over what the client says."""

from __future__ import annotations

import json

import pytest

from media_server.agents import client_tool
from media_server.errors import ClientError
from media_server.switchboard import CallGrant
from media_server.terms import ListeningTerms, Terms, ToolTerms, read_sealed


def test_what_is_sealed_comes_back_as_it_was() -> None:
    schema = {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}
    tool = ToolTerms.of(client_tool("show", "Show a page", schema, timeout_s=30))
    terms = Terms(
        call_id="call-1", changes={"greeting": "Hi."}, variables={"name": "Ada"}, tools=(tool,), dialect="flow",
        dialect_options={"prompts": True},
    )  # fmt: skip
    again = read_sealed(Terms, json.loads(json.dumps(terms.sealed())))
    assert again == terms
    assert again.tools[0].tool() == tool.tool()


def test_what_is_sealed_wins_over_what_the_client_says() -> None:
    terms = Terms(metadata={"customer": 7}, variables={"name": "Ada"})
    joined = terms.joined_by({"customer": 8, "page": "x"}, {"name": "Bob", "day": "Monday"})
    assert joined.metadata == {"customer": 7, "page": "x"}
    assert joined.client_metadata == {"customer": 8, "page": "x"}
    assert joined.variables == {"name": "Ada", "day": "Monday"}
    assert terms.metadata == {"customer": 7}, "terms do not change"


def test_terms_of_before_there_were_versions_are_read() -> None:
    assert read_sealed(Terms, {}) == Terms()
    assert read_sealed(Terms, {"variables": {"name": "Ada"}}) == Terms(variables={"name": "Ada"})


@pytest.mark.parametrize("sealed", [{"version": 2}, {"version": 1, "tariff": "x"}, {"dialect": 7}])
def test_terms_of_another_version_are_refused_and_not_misread(sealed: dict[str, object]) -> None:
    with pytest.raises(ClientError) as refused:
        read_sealed(Terms, sealed)
    assert (refused.value.code, refused.value.status) == ("token_expired", 401)


def test_what_a_listener_may_do_is_sealed_too() -> None:
    terms = ListeningTerms(agents=("mara", "luna"), call_id="call-1", scope="supervise")
    assert read_sealed(ListeningTerms, json.loads(json.dumps(terms.sealed()))) == terms
    with pytest.raises(ClientError):
        read_sealed(ListeningTerms, Terms().sealed())


def test_who_calls_is_what_was_sealed_and_not_what_the_client_says() -> None:
    start = CallGrant(None, Terms(metadata={"contact": "ada"}))
    assert start.contact == "ada"
    assert CallGrant(None, Terms().model_copy(update={"client_metadata": {"contact": "ada"}})).contact is None
