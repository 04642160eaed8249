"""What Pinecall's SDK sends and waits for, as a pure translation: its forms are taken as its source has them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from media_server import events as e
from media_server.agents import Agent, Handlers, client_tool
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.dialect import Pinecall, chosen_at_start
from media_server.doors.pinecall.followed_call import FollowedCall
from media_server.doors.pinecall.program_agents import Here, Refused, changes, make_agent
from media_server.doors.pinecall.routes import audio_refusal
from media_server.errors import ClientError
from media_server.http.speech import is_spoken

TURN = "turn-3"
BOOK = client_tool("book", "")
BASES = {"kb_1": Path("/bases/kb_1"), "kb_2": Path("/bases/kb_2")}
NOTHING: Any = SimpleNamespace(records=None, seed=None)
HERE = Here(lambda name: name == "calm", lambda shape: BOOK, BASES.get, NOTHING)


def parsed(**message: Any) -> Any:
    return p.parse(json.dumps(message))


def refused(**message: Any) -> list[dict[str, Any]]:
    """What a program is told of a message that cannot be understood."""
    text = json.dumps(message)
    with pytest.raises(ClientError) as wrong:
        p.parse(text)
    return p.refusal(p.about(text), wrong.value, {})


def made(**settings: Any) -> Any:
    wanted = parsed(event="agent.create", **{"agent_id": "mara", **settings})
    agent, _ = make_agent(wanted, "", HERE, Handlers())
    return agent


def told(call: FollowedCall, *events: e.Event) -> list[dict[str, Any]]:
    """What a program is told of events, one every half second."""
    envelopes = [e.Envelope("call-1", n, n / 2, e.settled(event)) for n, event in enumerate(events)]
    return [message for envelope in envelopes for message in call.outgoing(envelope, "ada")]


# -- forms


def test_a_forward_without_words_is_a_forward() -> None:
    forward = parsed(event="call.forward", call_id="c", to="+15551110000", message="", announce=False)
    assert (forward.to, forward.message) == ("+15551110000", "")


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        ({"event": "history.set_instructions", "prompt": "Be kind."}, "instructions", "Be kind."),
        ({"event": "history.set_instructions", "instructions": "Be kind."}, "instructions", "Be kind."),
        ({"event": "history.add_context", "text": "Gold customer."}, "context", "Gold customer."),
        ({"event": "history.add_context", "context": "Gold customer."}, "context", "Gold customer."),
    ],
)
def test_prompts_and_context_come_by_the_sdks_names(message: dict[str, Any], field: str, value: str) -> None:
    assert getattr(parsed(call_id="c", request_id="rq_1", **message), field) == value


@pytest.mark.parametrize(
    ("given", "wait_s"),
    [
        (None, 0.15),
        (False, 0),
        (True, 1.5),
        ({"timeout_ms": 2500}, 2.5),
        ({"timeout_ms": 60_000}, 5),
        ({"enabled": False, "timeout_ms": 2500}, 0),
        ({"enabled": True}, 1.5),
    ],
)
def test_how_long_a_turn_is_prepared(given: Any, wait_s: float) -> None:
    assert parsed(event="agent.create", agent_id="mara", preparing=given).preparing_s == wait_s


@pytest.mark.parametrize(
    ("given", "language", "said"),
    [
        ("Hello!", None, "Hello!"),
        ({"text": "Hello!"}, None, "Hello!"),
        ({"en": "Hello!", "es": "¡Hola!"}, "es-MX", "¡Hola!"),
        ({"en": "Hello!", "es-ES": "¡Hola!"}, "es", "¡Hola!"),
        ({"en": "Hello!", "es": "¡Hola!"}, "fr", "Hello!"),
        ({}, "en", ""),
    ],
)
def test_greetings_are_said_in_the_calls_language(given: Any, language: str | None, said: str) -> None:
    assert made(greeting=given, language=language).filled_in({}).greeting == said


def test_a_greeting_that_a_call_changes_is_said_in_any_language() -> None:
    agent = made(greeting={"en": "Hello!", "es": "¡Hola!"}, language="en")
    assert agent.greeting_with({}) == "Hello!"


@pytest.mark.parametrize(("given", "opted_in"), [({}, False), ({"greetingInChat": True}, True)])
def test_chats_are_greeted_where_the_program_says_so(given: dict[str, Any], opted_in: bool) -> None:
    assert made(greeting="Hello!", **given).greeting_in_chat is opted_in


@pytest.mark.parametrize(("tag", "language"), [("multi", None), ("auto", None), ("en-US", "en"), ("pt_BR", "pt")])
def test_languages_are_taken_by_their_tags(tag: str, language: str | None) -> None:
    assert made(language=tag).language == language


@pytest.mark.parametrize(
    ("agent_id", "name"),
    [("My Agent", "my-agent"), ("  Front  Desk! ", "front-desk"), ("futbolAgent", "futbolAgent"), ("a_b", "a_b")],
)
def test_ids_become_names(agent_id: str, name: str) -> None:
    assert made(agent_id=agent_id).name == name


def test_the_idle_timeout_is_warned_of_before_it() -> None:
    agent = made(session_limits={"idle_timeout_seconds": 120, "idle_warning_seconds": 30, "idle_grace_seconds": 15})
    assert (agent.idle_s, agent.idle_hang_up_s) == (90, 45)
    agent = made(session_limits={"idle_timeout_seconds": 0, "max_duration_seconds": 0})
    assert (agent.idle_s, agent.idle_hang_up_s, agent.max_duration_s) == (0, 0, 0)
    agent = made(session_limits={"idle_timeout_seconds": 20, "idle_warning_seconds": 0, "idle_grace_seconds": 0})
    assert (agent.idle_s, agent.idle_hang_up_s) == (20, 0.1), "0 would stand for never"


def test_null_is_as_good_as_nothing_where_it_takes_nothing_away() -> None:
    nothing = dict.fromkeys(
        ("max_duration_seconds", "idle_timeout_seconds", "idle_warning_seconds", "idle_grace_seconds")
    )
    tool = {"type": None, "function": {"name": "book", "description": None, "parameters": None}}
    agent = made(session_limits=nothing, preparing={"enabled": None, "timeoutMs": None}, greetingInChat=None)
    assert (agent.idle_s, agent.idle_hang_up_s, agent.greeting_in_chat) == (45, 25, False)
    assert made(tools=[tool]).tools
    assert parsed(event="connect", api_key=None).api_key == ""
    result = parsed(event="llm.tool_result", call_id="c", results=[{"tool_call_id": "t", "ephemeral": None}])
    assert result.results[0].ephemeral is False
    taken_away = parsed(event="agent.configure", agent_id="mara", llm=None, language=None)
    assert {"llm", "language"} <= taken_away.model_fields_set


def test_settings_within_what_is_no_object_are_refused() -> None:
    assert refused(event="agent.create", agent_id="mara", config="x")[0]["code"] == "REGISTRATION_ERROR"
    assert made(config=None).name == "mara"


@pytest.mark.parametrize("kind", [{"event": "call.dial", "to": "luna"}, {"event": "call.bridge", "target": "luna"}])
def test_a_call_that_is_placed_is_recorded_where_it_says_so(kind: dict[str, Any]) -> None:
    placed = parsed(agent_id="mara", **kind, media={"live": True, "recording": True}, config={"language": "es"})
    given, _ = changes(placed.settings, HERE)
    assert (given["recording"], given["language"]) == (True, "es")
    assert "recording" not in changes(parsed(agent_id="mara", **kind).settings, HERE)[0]


@pytest.mark.parametrize("given", [{}, {"reason": None}, {"reason": "busy"}])
def test_who_rejects_a_call_without_a_reason_is_busy(given: dict[str, Any]) -> None:
    assert parsed(event="call.reject", call_id="c", **given).reason == "busy"


@pytest.mark.parametrize(
    ("refused", "status", "code"),
    [
        (ClientError("key_missing", "Show a key.", status=401), 401, "MISSING_KEY"),
        (ClientError("key_unknown", "There is none.", status=401), 401, "INVALID_KEY"),
        (ClientError("no_credit", "It is used up.", status=402), 402, "INSUFFICIENT_CREDITS"),
        (ClientError("rate_limited", "Too many.", status=429), 429, "RATE_LIMITED"),
        (ClientError("input_too_long", "Too long."), 413, "INPUT_TOO_LONG"),
        (ClientError("bad_request", "Wrong.", details=[{"field": "speed"}]), 400, "BAD_REQUEST"),
        (ClientError("bad_request", "Wrong.", details=[{"field": "response_format"}]), 400, "FORMAT_UNSUPPORTED"),
        (ClientError("too_large", "Too large.", status=413), 413, "FILE_TOO_LARGE"),
        (ClientError("wrong_content_type", "No form.", status=415), 415, "UNSUPPORTED_MEDIA"),
        (ClientError("engine_lost", "It stopped.", status=503), 503, "UPSTREAM_ERROR"),
    ],
)
def test_refusals_of_audio_have_its_codes(refused: ClientError, status: int, code: str) -> None:
    answer = audio_refusal(refused)
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    assert (answer.status, body["code"], body["error"]) == (status, code, refused.message)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", True), ("en", True), ("EN-us", True), ("en_GB", True), ("e", False), ("english", False), ("es", False)],
)
def test_voices_are_found_by_their_whole_language(wanted: str, found: bool) -> None:
    assert is_spoken("en-us", wanted) is found


def test_a_calls_settings_come_flat_or_nested_and_with_other_products_voices() -> None:
    flat = parsed(event="session.configure", session_id="c", voice="elevenlabs/agus", language="es-ES", llm={"a": 1})
    nested = parsed(event="session.configure", session_id="c", config={"language": "es", "promptVars": {"name": "Ana"}})
    assert (flat.language, nested.language, nested.vars) == ("es", "es", {"name": "Ana"})


def test_settings_of_an_agent_are_a_patch() -> None:
    create = parsed(event="agent.create", agent_id="mara", prompt="Be kind.", llm="x", greeting="Hello!")
    patch = parsed(event="agent.configure", agent_id="mara", language="multi")
    after = create.model_copy(update={f: getattr(patch, f) for f in patch.model_fields_set - {"event"}})
    assert (after.prompt, after.greeting, after.language) == ("Be kind.", "Hello!", None)


def test_skills_come_with_their_tools() -> None:
    tool = {"type": "function", "function": {"name": "book", "parameters": {}}}
    shape = {"name": "booking", "description": "Reserve", "tools": [tool], "activation": "manual"}
    shapes = [{**shape, "knowledge_base": "kb_1"}, {**shape, "name": "billing", "knowledge_base": "kb_9"}]
    agent, unused = make_agent(parsed(event="agent.create", agent_id="mara", skills=shapes), "", HERE, Handlers())
    skill, billing = agent.skills
    assert (skill.name, skill.activation, skill.tools) == ("booking", "manual", [BOOK])
    assert (skill.knowledge, billing.knowledge) == ((BASES["kb_1"],), ())
    assert unused == ["skills: billing: knowledge_base: 'kb_9': there is none of this id"]


@pytest.mark.parametrize(
    ("named", "folders", "missing"),
    [
        ("kb_1", ["kb_1"], 0),
        (["kb_1", "kb_2"], ["kb_1", "kb_2"], 0),
        (["kb_2", "kb_9", "../kb_1", ""], ["kb_2"], 3),
        ([], [], 0),
        (None, [], 0),
    ],
)
def test_knowledge_bases_are_given_by_their_ids(named: Any, folders: list[str], missing: int) -> None:
    wanted = parsed(event="agent.create", agent_id="mara", knowledge_base=named)
    agent, unused = make_agent(wanted, "", HERE, Handlers())
    assert list(agent.knowledge) == [BASES[each] for each in folders]
    assert len([each for each in unused if each.startswith("knowledge_base: ")]) == missing


# -- refusals


def test_a_refusal_names_what_it_answers() -> None:
    (error,) = refused(event="agent.create", agent_id="mara", language="klingonese")
    assert (error["agent_id"], error["code"]) == ("mara", "REGISTRATION_ERROR"), "else `agent.ready` is waited for"
    assert error["error"] == error["message"]
    (error,) = refused(event="call.forward", call_id="call-1", agent_id="mara")
    assert (error["call_id"], error["agent_id"], error["code"]) == ("call-1", "mara", "BAD_MESSAGE")
    error, answer = refused(event="history.set", call_id="call-1", request_id="rq_1", messages="none")
    assert error["request_id"] == "rq_1"
    assert (answer["event"], answer["request_id"], answer["call_id"]) == ("history.updated", "rq_1", "call-1")
    assert answer["error"], "a program waits for this event alone"
    assert refused(event="history.get", request_id="rq_2")[1]["event"] == "history.data"


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "1" * 5000, '{"event": {"a": 1}, "agent_id": ["x"]}', b"\xff"])
def test_what_cannot_be_read_names_nothing(text: str | bytes) -> None:
    assert p.about(text) == {}


def test_a_refusal_says_more_where_there_is_more() -> None:
    wrong = Refused("AGENT_CONFLICT", "It is taken.", retry_after_s=5, holder_alive=True)
    (error,) = p.refusal({"event": "agent.create", "agent_id": "mara"}, wrong, wrong.fields)
    assert (error["agent_id"], error["retry_after_s"], error["holder_alive"]) == ("mara", 5, True)


# -- what programs are told


def test_a_chat_is_told_in_the_sdks_words() -> None:
    call = FollowedCall("mara", "chat-1", 1000.0, "en")
    started, message, ended_turn, response, over = told(
        call,
        e.CallStarted("mara", {"userId": "ada"}, "chat"),
        e.UserTranscript(TURN, "hello", True),
        e.TurnEnded(TURN, 1.0, "hello", "client"),
        e.AgentText(TURN, "Hi!"),
        e.CallEnded("chat_completed", 4.0),
    )
    assert (started["event"], started["call_id"], started["language"]) == ("llm.chat.started", "chat-1", "en")
    assert started["metadata"] == {"userId": "ada"}
    assert (message["event"], message["text"], message["agent_id"]) == ("chat.message", "hello", "mara")
    assert ended_turn["event"] == "turn.end"
    assert (response["event"], response["text"]) == ("chat.response", "Hi!")
    assert over["event"] == "llm.chat.ended"
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hi!"}]
    assert (over["messages"], over["started_at"], over["ended_at"]) == (said, 1000.0, 1004.0)


def test_words_of_a_tool_have_an_end_of_their_own() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    call.expect("One moment.", "msg-1")
    told(call, e.AgentSpeechStarted(TURN))
    (finished,) = call.said("One moment.", "msg-1", heard=True)
    assert (finished["event"], finished["message_id"], finished["call_id"]) == ("bot.finished", "msg-1", "call-1")
    assert list(call.said("One moment.", "msg-1", heard=True)) == [], "once"
    call.expect("And another.", "msg-2")
    assert next(call.said("And another.", "msg-2", heard=False))["event"] == "bot.interrupted"


def test_words_of_a_tool_that_nobody_waits_for_do_not_hide_later_ones() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    call.expect("One moment.", "msg-1")
    call.expect("It is twelve.", "msg-2")
    events = (e.AgentText(TURN, "It is twelve."), e.AgentSpeechStopped(TURN, "completed", "It is twelve."))
    finished = [m for m in told(call, *events) if m["event"] == "bot.finished"]
    assert [m["message_id"] for m in finished] == ["msg-2"]
    assert list(call.said("It is twelve.", "msg-2", heard=True)) == [], "it was told"


def test_nothing_but_the_agents_words_is_confirmed_to_a_program() -> None:
    heard = e.UserTranscript(TURN, "hello", True)
    messages = told(FollowedCall("mara", "call-1", 0.0), heard, e.AgentSpeechStopped(TURN, "completed", "Hi."))
    assert [m["text"] for m in messages if m["event"] == "message.confirmed"] == ["Hi."]


def test_a_reply_of_which_nothing_was_heard_is_aborted() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    begun = e.AgentSpeechStarted(TURN)
    kinds = [m["event"] for m in told(call, begun, e.AgentSpeechStopped(TURN, "interrupted", ""))]
    assert kinds == ["bot.speaking", "bot.interrupted", "message.aborted"]
    kinds = [m["event"] for m in told(call, begun, e.AgentSpeechStopped(TURN, "interrupted", "Hel"))]
    assert kinds == ["bot.speaking", "bot.interrupted", "message.confirmed"]


@pytest.mark.parametrize(("reason", "kinds"), [("credits_exhausted", ["credits.exhausted"]), ("max_duration", [])])
def test_a_program_is_told_that_the_credit_is_nearly_used_up(reason: str, kinds: list[str]) -> None:
    warning = e.CallWarning("call_ending", "It ends soon.", 15.0, reason)
    assert [m["event"] for m in told(FollowedCall("mara", "call-1", 0.0), warning)] == kinds


def test_history_files_get_what_the_agent_said() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    stopped = e.AgentSpeechStopped(TURN, "completed", "Hi!")
    (confirmed,) = [m for m in told(call, stopped) if m["event"] == "message.confirmed"]
    assert confirmed["text"] == "Hi!"


def test_the_messages_at_the_end_hold_tool_calls_but_no_ephemeral_ones() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    over = told(
        call,
        e.UserTranscript(TURN, "where is it", True),
        e.ToolCalled("t1", "lookup", {"id": 4}, "server"),
        e.ToolReturned("t1", {"status": "shipped"}),
        e.ToolCalled("t2", "lookup", {"id": 4}, "server"),
        e.ToolReturned("t2", ephemeral=True),
        e.AgentSpeechStopped(TURN, "completed", "Shipped."),
        e.CallEnded("agent_hangup", 1.0),
    )[-1]
    assert over["event"] == "call.ended"
    user, asked, answered, bot = over["messages"]
    assert (user["role"], bot) == ("user", {"role": "assistant", "content": "Shipped."})
    (tool,) = asked["tool_calls"]
    assert (tool["id"], tool["function"]) == ("t1", {"name": "lookup", "arguments": '{"id": 4}'})
    assert answered == {"role": "tool", "tool_call_id": "t1", "content": '{"status": "shipped"}'}


@pytest.mark.parametrize(
    ("reason", "kinds"),
    [
        ("silence", ["session.timeout", "call.ended"]),
        ("max_duration", ["session.timeout", "call.ended"]),
        ("agent_hangup", ["call.ended"]),
        ("client_hangup", ["call.ended"]),
    ],
)
def test_a_program_is_told_of_timeouts_and_nothing_else_as_one(reason: str, kinds: list[str]) -> None:
    over = told(FollowedCall("mara", "call-1", 0.0), e.CallEnded(reason, 1.0))
    assert [m["event"] for m in over] == kinds


def test_turns_have_numbers_and_pauses_their_session() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    events = (
        e.UserSpeechStarted(TURN),
        e.UserSpeechStopped(TURN),
        e.TurnEnded(TURN, 0.9, "hello", "silence"),
        e.CallPaused(),
    )
    ended, paused = told(call, *events)[2:]
    assert (ended["turn_id"], ended["latency_ms"], ended["message_id"]) == (3, 500, "user-turn-3")
    assert (paused["event"], paused["session_id"], paused["agent_id"]) == ("session.paused", "call-1", "mara")


# -- what pages are told


@pytest.mark.parametrize("reason", ["agent_hangup", "forwarded", "silence", "max_duration", "server_shutdown"])
def test_a_page_is_told_of_every_end_in_the_way_that_ends_it(reason: str) -> None:
    over = list(Pinecall().outgoing(e.Envelope("call-1", 0, 1.0, e.CallEnded(reason, 1.0))))
    assert [m["event"] for m in over] == ["session.timeout", "call.ended"]


def test_a_page_that_hung_up_is_not_told_to() -> None:
    over = list(Pinecall().outgoing(e.Envelope("call-1", 0, 1.0, e.CallEnded("client_hangup", 1.0))))
    assert [m["event"] for m in over] == ["call.ended"]


# -- siblings: forms that the SDK's types allow


@pytest.mark.parametrize("text", ["", "x" * 5000, None, 7])
def test_what_cannot_be_said_has_an_end(text: Any) -> None:
    said = refused(event="bot.reply", call_id="call-1", message_id="m1", text=text, in_reply_to="")
    assert [m["event"] for m in said] == ["error", "reply.rejected", "bot.interrupted"], "or `await call.say()` hangs"
    assert {m["message_id"] for m in said} == {"m1"}


@pytest.mark.parametrize("event", ["call.dial", "call.bridge"])
def test_a_call_that_cannot_be_placed_is_refused_at_once(event: str) -> None:
    error, failed = refused(event=event, agent_id="mara", to="desk", target="desk", greeting="x" * 5000)
    assert (error["event"], failed["event"], failed["agent_id"]) == ("error", "call.error", "mara")


@pytest.mark.parametrize(
    ("given", "wait_s"), [({"timeoutMs": 800}, 0.8), ({"timeout_ms": 0}, 0), ({"enabled": True, "timeoutMs": 9e9}, 5)]
)
def test_how_long_a_turn_is_prepared_in_the_sdks_own_spelling(given: Any, wait_s: float) -> None:
    assert parsed(event="agent.create", agent_id="mara", preparing=given).preparing_s == wait_s


def test_a_time_that_is_none_is_refused_with_a_sentence() -> None:
    (error,) = refused(event="agent.create", agent_id="mara", preparing={"timeout_ms": "soon"})
    assert error["code"] == "REGISTRATION_ERROR"
    assert "timeout_ms" in error["message"]


def test_what_is_set_of_a_model_is_used_and_no_more_than_there_is() -> None:
    llm = {"provider": "openai", "model": "gpt", "temperature": 0.3, "top_p": 0.5, "max_tokens": 99_999}
    agent = made(llm=llm)
    assert (agent.temperature, agent.top_p, agent.max_reply_tokens) == (0.3, 0.5, 4096)
    assert agent.handlers.turn is None, "the model answers"


def test_what_is_set_under_config_and_media_is_used() -> None:
    agent = made(config={"analysis": {"send_audio_metrics": True}, "language": "es"}, media={"recording": True})
    assert (agent.audio_levels, agent.language, agent.recording) == (True, "es", True)


def test_an_agent_has_the_clock_of_its_zone() -> None:
    tokyo, honolulu = (made(prompt="{{datetime}}", timezone=zone) for zone in ("Asia/Tokyo", "Pacific/Honolulu"))
    assert tokyo.filled_in({}).prompt != honolulu.filled_in({}).prompt
    assert tokyo.filled_in({"timezone": "Pacific/Honolulu"}).prompt == honolulu.filled_in({}).prompt, "a call's own"
    wanted = parsed(event="agent.create", agent_id="mara", timezone="Mars/Base")
    agent, unused = make_agent(wanted, "", HERE, Handlers())
    assert agent.timezone == ""
    assert "Mars/Base" in unused[0]


@pytest.mark.parametrize(("memory", "told"), [({"remember": ["names"]}, 1), ({"enabled": False}, 0)])
def test_a_prompt_shows_nothing_where_it_has_a_place_for_memory(memory: dict[str, Any], told: int) -> None:
    wanted = parsed(event="agent.create", agent_id="mara", prompt="Known: {{MEMORY}}.", memory=memory, vars={"x": 1})
    agent, unused = make_agent(wanted, "", HERE, Handlers())
    assert agent.filled_in({}).prompt == "Known: ."
    assert agent.variables["x"] == 1
    assert len([each for each in unused if each.startswith("memory: ")]) == told


def test_the_date_block_says_the_date_and_the_time_unless_the_program_has_its_own() -> None:
    block = made(prompt="{{date_block}}|{{date}}|{{time}}").filled_in({}).prompt
    said, date, time = block.split("|")
    assert said == f"Today is {date}. It is {time}."
    assert made(prompt="{{date_block}}", vars={"date_block": "Monday"}).filled_in({}).prompt == "Monday"


def test_what_is_not_known_of_a_caller_fills_in_nothing() -> None:
    assert made(prompt="{{name}}!", vars={"name": None}).filled_in({}).prompt == "!"
    message = parsed(event="history.set_vars", call_id="c", request_id="r", vars={"name": None, "n": 3})
    assert message.vars == {"name": "", "n": 3}


def test_a_history_with_tools_and_empty_messages_is_taken() -> None:
    messages = [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "{}"}]
    assert len(parsed(event="history.set", call_id="c", request_id="r", messages=messages).messages) == 2
    assert parsed(event="history.add", call_id="c", messages=[{"role": "user", "content": "x" * 8000}]).messages


def test_a_telephone_line_is_refused_by_its_number() -> None:
    assert parsed(event="line.create", number="+15551110000", config={}).number == "+15551110000"


def test_other_products_voices_are_named_by_their_ids() -> None:
    wanted = parsed(event="agent.create", agent_id="mara", llm="local", voice={"provider": "cartesia", "voice_id": "v"})
    _, unused = make_agent(wanted, "", HERE, Handlers())
    assert unused == ["voice: 'cartesia/v': the usual voice is used"]


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ({"voice": {"provider": "elevenlabs", "voice_id": "v", "speed": 1.1}}, "voice_speed", 1.1),
        ({"voice": {"provider": "elevenlabs", "speed": 4}}, "voice_speed", 2),
        ({"voice": {"provider": "elevenlabs", "speed": "fast"}}, "voice_speed", 1),
        ({"config": {"tts": {"provider": "cartesia", "voice_id": "v", "speed": 0.8}}}, "voice_speed", 0.8),
        ({"config": {"tts": {"voice_id": "calm"}}}, "voice", "calm"),
        ({"voice": "calm", "config": {"tts": {"voice_id": "other"}}}, "voice", "calm"),
        ({"stt": {"provider": "deepgram", "model": "nova-3", "language": "es"}}, "language", "es"),
        ({"stt": {"provider": "deepgram-flux", "language_hint": "pt-BR"}}, "language", "pt"),
        ({"stt": {"provider": "deepgram", "language": "multi"}}, "language", None),
        ({"stt": {"provider": "deepgram", "language": "es"}, "language": "fr-CA"}, "language", "fr"),
        ({"stt": {"keyterms": ["Pinecall"], "keywords": ["Lucía:2", "", 7]}}, "hotwords", ("Pinecall", "Lucía")),
        ({"stt": {"keyterms": 5, "keywords": "Lucía", "language": 7}}, "hotwords", ()),
        ({"config": {"stt": {"keyterms": ["w"] * 200}}}, "hotwords", ("w",) * 100),
    ],
)
def test_settings_of_other_products_voices_and_recognisers_hold_where_they_can(
    settings: dict[str, Any], field: str, value: Any
) -> None:
    assert getattr(made(**settings), field) == value


def test_an_answer_to_an_older_turn_is_overtaken() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    told(call, e.TurnEnded("turn-4", 1.0, "second", "client"))
    assert call.overtaken("user-turn-3") == "user-turn-4"
    assert not any(map(call.overtaken, ("user-turn-4", "user-turn-5", "", "msg_x", None))), "the last turn, or no turn"


def test_keys_come_one_by_one_and_all_together() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    pressed = told(call, e.UserDtmf("4"), e.UserDtmf("#"))
    assert [(m["event"], m["digit"], m["digits"]) for m in pressed] == [
        ("call.dtmf_received", "4", "4"),
        ("call.dtmf_received", "#", "4#"),
    ]


def test_what_is_said_to_a_person_is_marked() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    heard = e.UserTranscript(TURN, "hello", True)
    messages = [m for m in told(call, heard, e.CallPaused(), heard, e.CallResumed(), heard) if "message" in m["event"]]
    assert [m.get("paused") for m in messages if m["event"] == "user.message"] == [None, True, None]


@pytest.mark.parametrize(
    ("reason", "documented"),
    [("agent_hangup", "hangup"), ("operator_hangup", "hangup"), ("silence", "idle_timeout"),
     ("connect_timeout", "no_answer"), ("connection_lost", "failed"), ("max_duration", "max_duration"),
     ("chat_completed", "chat_completed"), ("client_hangup", "client_hangup")],
)  # fmt: skip
def test_ends_have_the_products_words(reason: str, documented: str) -> None:
    over = told(FollowedCall("mara", "call-1", 0.0), e.CallEnded(reason, 1.0))[-1]
    assert (over["reason"], over["session_id"]) == (documented, "call-1")
    assert list(Pinecall().outgoing(e.Envelope("c", 0, 1.0, e.CallEnded(reason, 1.0))))[-1]["reason"] == documented


def test_a_text_that_is_said_as_a_whole_comes_as_its_speech_begins() -> None:
    call = FollowedCall("mara", "call-1", 0.0)
    call.expect("Welcome.", "m1")
    speaking = told(call, e.AgentText(TURN, "Welcome."), e.AgentSpeechStarted(TURN))[-1]
    assert (speaking["event"], speaking["message_id"], speaking["text"]) == ("bot.speaking", "m1", "Welcome.")


def test_a_warning_names_the_whole_silence() -> None:
    warning = told(FollowedCall("mara", "call-1", 0.0), e.IdleWarning(25, silence_s=70))[0]
    assert (warning["remaining_seconds"], warning["idle_timeout_seconds"]) == (25, 70)


def test_settings_that_are_none_here_are_named() -> None:
    config = {"analysis": {"send_audio_metrics": True, "send_bot_audio": True}, "speaker_filter": {"enabled": True}}
    wanted = parsed(event="agent.create", agent_id="m", flash=True, raw_prompt=True, memory=None, config=config)
    assert wanted.unknown == ["analysis: send_bot_audio", "flash", "speaker_filter"]
    assert parsed(event="session.configure", session_id="c", agent_id="m", config={}).unknown == []


@pytest.mark.parametrize(
    ("given", "interruptible"),
    [
        ({}, True),
        ({"interruption": False}, False),
        ({"interruption": {"enabled": False, "min_duration_ms": 300}}, False),
        ({"interruption": {"energy_threshold_db": -40}}, True),
        ({"config": {"interruption": {"enabled": False}}}, False),
    ],
)
def test_interruptions_are_switched_off(given: dict[str, Any], interruptible: bool) -> None:
    assert made(**given).interruptible is interruptible


def test_an_agent_is_recorded_where_its_analysis_says_so() -> None:
    assert made(config={"analysis": {"recording": True}}).recording


def test_half_a_surrogate_pair_is_told_back_as_a_question_mark() -> None:
    assert p.about('{"event": "ping", "agent_id": "a\\ud800"}') == {"event": "ping", "agent_id": "a?"}


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({"language": "es-MX", "voice": {"id": 1}, "turnDetection": "smart_turn"}, [{"language": "es"}]),
        ({"language": "multi", "voice": "calm"}, [{"voice": "calm"}]),
        ({"turnDetection": "fast", "language": 5}, [{"turns": "fast"}]),
        ({"turn_detection": {"mode": "native"}, "stt": "x"}, []),
    ],
)
def test_what_a_page_chooses_is_taken_one_by_one(config: dict[str, Any], asked: list[dict[str, Any]]) -> None:
    messages = Pinecall().incoming(json.dumps({"action": "configure", **config}))
    assert [m.model_dump(exclude_none=True, exclude={"type"}) for m in messages] == asked


@pytest.mark.parametrize(
    ("config", "allowed", "chosen"),
    [
        ({"language": "es-MX", "voice": "calm"}, {"language", "voice"}, {"language": "es", "voice": "calm"}),
        ({"language": "es", "voice": "calm"}, {"voice"}, {"voice": "calm"}),
        ({"language": "spanish", "voice": "elevenlabs/sarah"}, {"language", "voice"}, {}),
        ({"language": ["es"], "voice": None, "action": "mute"}, {"language", "voice"}, {}),
        ({"voice": "calm", "turn_detection": "psychic"}, {"voice"}, {"voice": "calm"}),
    ],
)
def test_a_call_begins_as_its_page_has_chosen(config: dict[str, Any], allowed: Any, chosen: dict[str, str]) -> None:
    assert chosen_at_start(config, Agent("m", client_settings=frozenset(allowed)), ["", "calm"]) == chosen
