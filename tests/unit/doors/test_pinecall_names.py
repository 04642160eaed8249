"""Whose the names of programs' agents are, also while the programs are away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from media_server.agents import Agent, AgentRegistry
from media_server.doors.pinecall import programs as module
from media_server.doors.pinecall.program_agents import Refused
from media_server.doors.pinecall.programs import Programs


def new_programs() -> Programs:
    sessions: Any = SimpleNamespace(observers=[], route=None, conversations=list)
    nothing: Any = SimpleNamespace(follow=lambda folder: None)
    return Programs(AgentRegistry([Agent("desk")]), sessions, nothing, nothing, nothing)


def program(tenant: str = "", has_key: bool = True) -> Any:
    return SimpleNamespace(tenant=tenant, has_key=has_key)


@pytest.mark.parametrize("owner", ["acme", ""], ids=["a tenant's", "the operator's own"])
def test_a_name_stays_its_tenants_while_the_program_is_away(owner: str) -> None:
    programs = new_programs()
    first = program(owner)
    programs.register(Agent("sales", tenant=owner), first)
    programs.withdraw(first)
    with pytest.raises(Refused, match="taken"):
        programs.register(Agent("sales", tenant="bolt"), program("bolt"))
    programs.register(Agent("sales", tenant=owner), program(owner))


def test_what_was_led_without_a_key_is_nobodys_afterwards() -> None:
    programs = new_programs()
    first = program(has_key=False)
    programs.register(Agent("sales"), first)
    programs.withdraw(first)
    programs.register(Agent("sales", tenant="bolt"), program("bolt"))


def test_a_tenant_that_has_many_names_takes_no_room_from_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AGENTS", 2)
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    programs = new_programs()
    for i in range(3):
        many = program("acme")
        programs.register(Agent(f"a{i}", tenant="acme"), many)
        programs.register(Agent(f"b{i}", tenant="acme"), many)
        with pytest.raises(Refused, match="as many agents"):
            programs.register(Agent("one-more", tenant="acme"), many)
        if i < 2:
            programs.withdraw(many)
    other = program("bolt")
    programs.register(Agent("sales", tenant="bolt"), other)
    programs.withdraw(other)
    with pytest.raises(Refused, match="taken"):
        programs.register(Agent("sales", tenant="acme"), program("acme"))
