"""Dialects as pure translators: an event in, the product's messages out; a message in, what it asks of the call out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from media_server import events as e
from media_server.doors.flow.dialect import Flow
from media_server.doors.nextevi.dialect import NextEvi
from media_server.doors.pinecall.dialect import Pinecall, PinecallChat
from media_server.doors.pinecall.followed_call import FollowedCall
from media_server.doors.wespoke.dialect import Wespoke, WespokeChat
from media_server.errors import ClientError

WORDS = (e.TranscriptWord("good", 1.0, 1.2, 0.9), e.TranscriptWord("morning.", 1.2, 1.6, 0.8))
EVERY: list[e.Event] = [
    e.CallStarted("mara", {"customer": 1}, "webrtc", e.Limits(600.0, 1, 4)),
    e.StateChanged("listening"),
    e.UserSpeechStarted("turn-1"),
    e.UserTranscript("turn-1", "good", False, 0.5, "en", "good"),
    e.TurnPaused("turn-1", "good", 0.4),
    e.TurnResumed("turn-1", "good"),
    e.TurnEager("turn-1", "good morning.", 0.9),
    e.UserSpeechStopped("turn-1"),
    e.UserTranscript("turn-1", "good morning.", True, 0.85, "en", words=WORDS),
    e.TurnEnded("turn-1", 0.9, "good morning.", "semantic"),
    e.TurnContinued("turn-1", "good morning."),
    e.EmotionUpdated("turn-1", (e.Emotion("joy", 0.7),), "audio"),
    e.KnowledgeUsed("turn-1", "morning", (e.KnowledgeSource("a.md", "", 1.0),)),
    e.ToolCalled("tool-1", "look_up", {"order": 7}, "client"),
    e.ToolDelayed("tool-1", "look_up", 1.5),
    e.ToolReturned("tool-1", {"shipped": True}),
    e.AgentTextDelta("turn-1", "Hello "),
    e.AgentTextDelta("turn-1", "there."),
    e.AgentText("turn-1", "Hello there."),
    e.AgentPrompted("turn-1", [{"role": "user", "content": "good morning."}], "Hello there."),
    e.AgentSpeechStarted("turn-1"),
    e.AgentSegmentStarted("turn-1", 0, "Hello there.", 2.0),
    e.AgentWord("turn-1", "Hello", 0.0, 0.3),
    e.TurnMetrics("turn-1", 200.0, 90.0, 40.0, 30.0, 20.0, 10.0, 390.0, e.TurnMarks(paused=0.0)),
    e.AudioLevel("user", 0.1, 0.4, 0.9),
    e.UserDtmf("5"),
    e.CallQuality(2.0, 0.01, 0.0, 0.02, 3.0, 40.0),
    e.ConnectionChanged("bad"),
    e.AgentSegmentStopped("turn-1", 0, "interrupted", "Hello", 2.0, 2.3),
    e.AgentSpeechStopped("turn-1", "interrupted", "Hello"),
    e.IdleWarning(5.0, True),
    e.AgentEvent("shown", {"page": 2}),
    e.SkillLoaded("booking", "model"),
    e.SkillUnloaded("booking", "manual"),
    e.CallPaused(),
    e.CallResumed(),
    e.CallReconnecting(10.0),
    e.CallReconnected("websocket", 1.5),
    e.CallForwarded("luna", True),
    e.CallWarning("call_ending", "The call is limited.", 15.0),
    e.Error("bad_message", "It is not valid JSON."),
    e.CallEnding("agent_hangup"),
    e.CallEnded("agent_hangup", 12.5),
]
DIALECTS: list[Callable[[], Any]] = [
    lambda: Flow(prompts=True),
    lambda: NextEvi("connection", "mara", ""),
    Pinecall,
    lambda: PinecallChat(cumulative=True),
    Wespoke,
    WespokeChat,
]


def told(dialect: Any, *events: e.Event) -> Iterator[Any]:
    """What a client is told of these events, each a second after the one before."""
    for number, event in enumerate(events):
        yield from dialect.outgoing(e.Envelope("call-1", number, float(number), e.settled(event)))


def test_every_kind_of_event_is_tried() -> None:
    assert {type(event) for event in EVERY} == set(e.Event.__args__)


@pytest.mark.parametrize(
    "make", DIALECTS, ids=["flow", "nextevi", "pinecall", "pinecall-chat", "wespoke", "wespoke-chat"]
)
def test_whatever_happens_can_be_sent(make: Callable[[], Any]) -> None:
    messages = list(told(make(), *EVERY))
    assert messages
    json.dumps(messages)


def test_flow_tells_words_with_their_times_and_ends_the_sentence() -> None:
    (message,) = told(Flow(), e.UserTranscript("turn-1", "good morning.", True, 0.85, "en", words=WORDS))
    assert message["message"] == "AddTranscript"
    assert [(r["type"], r["alternatives"][0]["content"]) for r in message["results"]] == [
        ("word", "good"), ("word", "morning"), ("punctuation", ".")
    ]  # fmt: skip
    assert message["results"][-1]["is_eos"]
    assert message["metadata"] == {"start_time": 1.0, "end_time": 1.6, "transcript": "good morning. "}


MARKED = {
    "你好。": ["你好", "。"], "really?!": ["really", "?", "!"], "क्या।": ["क्या", "।"], "well;": ["well", ";"],
    "هل؟": ["هل", "؟"], "…": ["…", "."],
}  # fmt: skip


@pytest.mark.parametrize(("said", "contents"), MARKED.items())
def test_flow_tells_each_mark_of_any_script(said: str, contents: list[str]) -> None:
    words = (e.TranscriptWord(said, 1.0, 1.2, 0.9),)
    (message,) = told(Flow(), e.UserTranscript("turn-1", said, True, 0.85, words=words))
    assert [r["alternatives"][0]["content"] for r in message["results"]] == contents
    assert [r["type"] for r in message["results"]] == ["word", *["punctuation"] * (len(contents) - 1)]
    assert [r.get("is_eos", False) for r in message["results"]] == [False] * (len(contents) - 1) + [True]


def test_flow_guesses_times_of_words_that_have_none() -> None:
    spoken = (e.UserSpeechStarted("turn-1"), e.UserTranscript("turn-1", "one two", False, 0.5))
    (message,) = told(Flow(), *spoken)
    assert [r["start_time"] for r in message["results"]] == [0.001, 0.5], (
        "none is 0: clients take that for a missing one"
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("client_hangup", ["ConversationEnded"]),
        ("agent_hangup", ["ConversationEnding", "ConversationEnded"]),
        ("silence", ["Error idle_timeout", "ConversationEnded"]),
        ("max_duration", ["Error session_timeout", "ConversationEnded"]),
        ("credits_exhausted", ["Error timelimit_exceeded", "ConversationEnded"]),
    ],
)
def test_flow_says_that_it_ends_where_the_client_did_not(reason: str, said: list[str]) -> None:
    messages = list(told(Flow(), e.CallEnded(reason, 3.0)))
    assert [" ".join(filter(None, (m["message"], m.get("type")))) for m in messages] == said
    assert all(m["reason"] for m in messages if m["message"] == "Error")


@pytest.mark.parametrize(
    ("stages_ms", "kinds"),
    [
        ((200, 2000, 2000, 9000, 2000, 10), []),
        ((9000, 2100, 40, 30, 20, 10), ["high_asr_latency"]),
        ((200, 90, 2100, 30, 2500, 10), ["high_llm_latency", "high_tts_latency"]),
    ],
)
def test_flow_warns_of_what_was_slow(stages_ms: tuple[float, ...], kinds: list[str]) -> None:
    endpoint, stt, token, clause, audio, playout = stages_ms
    marks = e.TurnMarks(paused=0.0)
    metrics = e.TurnMetrics("turn-1", endpoint, stt, token, clause, audio, playout, sum(stages_ms), marks)
    warnings = list(told(Flow(), metrics))
    assert [(w["message"], w["type"]) for w in warnings] == [("Warning", kind) for kind in kinds]
    assert all("took 2." in w["reason"] for w in warnings)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (e.Error("engine_failed", "The voice failed.", "tts"), "tts_error"),
        (e.CallWarning("engine_lost", "The voice engine stopped.", engine="tts"), "tts_error"),
        (e.Error("prompt_too_long", "It is too long.", "llm"), "llm_error"),
        (e.Error("agent_failed", "The agent's code failed."), "llm_error"),
        (e.Error("engine_failed", "Nothing was understood.", "stt"), "high_asr_latency"),
        (e.CallWarning("engine_slow", "There was no answer."), "high_llm_latency"),
        (e.Error("too_many_messages", "One was dropped."), "protocol_error"),
        (e.Error("bad_setting", "It is not known."), "protocol_error"),
    ],
)
def test_flow_says_what_failed(event: e.Event, kind: str) -> None:
    (warning,) = told(Flow(), event)
    assert (warning["message"], warning["type"]) == ("Warning", kind)


@pytest.mark.parametrize("content", ["NaN", "-Infinity", "1e999"])
def test_a_result_that_no_model_can_read_as_json_is_text_to_flow(content: str) -> None:
    message = json.dumps({"message": "ToolResult", "id": "a", "status": "ok", "content": content})
    (result,) = Flow().incoming(message)
    assert isinstance(result, e.ToolResult)
    assert json.loads(json.dumps(result.result, allow_nan=False)) == content


def test_nextevi_says_that_a_turn_was_not_understood() -> None:
    failed = e.Error("engine_failed", "Speech recognition failed.", "stt")
    codes = [m["error_code"] for m in told(NextEvi("c", "", ""), failed, e.Error("engine_failed", "No voice.", "tts"))]
    assert codes == ["TURN_DETECTION_FAILED", "WEBSOCKET_ERROR"]


def settled(dialect: NextEvi, **settings: Any) -> Any:
    return dialect.parse(json.dumps({"type": "session_settings", **settings}))


def test_nextevi_s_manner_is_seen_from_the_first_settings_that_say_something() -> None:
    dialect = NextEvi("c", "", "")
    settled(dialect)
    assert dialect.manner == "seed"
    settled(dialect, sample_rate=16_000)
    assert (dialect.manner, dialect.rate_hz) == ("sdk", 16_000)
    settled(dialect, idle_timeout={"enabled": False})
    assert dialect.rate_hz == 16_000
    settled(dialect, sample_rate=48_000)
    assert (dialect.manner, dialect.rate_hz) == ("sdk", 48_000)
    settled(dialect, data={"audio": {"sample_rate": 8000}})
    assert (dialect.manner, dialect.rate_hz) == ("sdk", 48_000)


def test_nextevi_s_message_is_what_its_envelope_says() -> None:
    settings = settled(NextEvi("c", "", ""), data={"type": "ping", "emotion_detection": {"enabled": True}})
    assert (settings.type, settings.emotion_detection.enabled) == ("session_settings", True)


def test_nextevi_s_idle_timeout_that_is_off_may_say_anything_else() -> None:
    off = {"enabled": False, "warning_timeout": 0, "hangup_timeout": -1}
    assert settled(NextEvi("c", "", ""), idle_timeout=off).idle_timeout.enabled is False
    cases: list[Any] = [{"hangup_timeout": 0}, {"warning_timeout": -1}, {"enabled": "maybe"}, []]
    for wrong in cases:
        with pytest.raises(ClientError):
            settled(NextEvi("c", "", ""), idle_timeout=wrong)


def test_flow_asks_the_client_for_its_own_tools_alone() -> None:
    server = e.ToolCalled("tool-1", "look_up", {"order": 7}, "server")
    client = e.ToolCalled("tool-2", "show", {"page": 2}, "client")
    (message,) = told(Flow(), server, client)
    assert (message["id"], message["function"]) == ("tool-2", {"name": "show", "arguments": {"page": 2}})


def feeling() -> NextEvi:
    dialect = NextEvi("c", "", "")
    dialect.feels = lambda: True
    return dialect


SAID = e.UserTranscript("turn-1", "hi", True, 0.9)
OVER = e.TurnEnded("turn-1", 0.9, "hi", "silence")
FELT = e.EmotionUpdated("turn-1", (e.Emotion("joy", 0.75),), "audio")
ANSWERED = e.AgentTextDelta("turn-1", "Hello.")
IN_ORDER = ["transcription", "emotion_update", "turn_complete", "llm_response_chunk"]


@pytest.mark.parametrize(
    "events",
    [(SAID, FELT, OVER, ANSWERED), (SAID, OVER, FELT, ANSWERED), (SAID, OVER, ANSWERED, FELT)],
    ids=["known-at-once", "after-the-turn", "after-the-answer"],
)
def test_nextevi_tells_what_a_turn_feels_like_right_after_its_words(events: Sequence[e.Event]) -> None:
    told_of = list(told(feeling(), *events))
    assert [message["type"] for message in told_of] == IN_ORDER
    (joy,) = told_of[0]["data"]["emotions"]
    assert (joy["name"], joy["score"], joy["percentage"]) == ("joy", 0.75, 75.0)


@pytest.mark.parametrize(
    "heard", [e.AgentSpeechStarted("turn-1"), e.UserSpeechStarted("turn-2"), e.StateChanged("listening")]
)
def test_nextevi_waits_for_emotions_until_something_is_heard(heard: e.Event) -> None:
    late = list(told(feeling(), SAID, OVER, ANSWERED, heard, FELT))
    kinds = [m["type"] for m in late if m["type"] in IN_ORDER and m.get("metadata") != {"event_type": "speech_started"}]
    assert kinds == ["transcription", "turn_complete", "llm_response_chunk", "emotion_update"]
    assert "emotions" not in late[0]


def test_nextevi_waits_for_another_turns_emotions_no_longer_than_for_its_own() -> None:
    again = e.UserTranscript("turn-2", "ho", True, 0.9)
    kinds = [(m["type"], m.get("transcript")) for m in told(feeling(), SAID, OVER, again, FELT)]
    assert kinds[:2] == [("transcription", "hi"), ("turn_complete", "hi")]


def test_nextevi_waits_for_nothing_where_nobody_wants_to_know() -> None:
    assert [m["type"] for m in told(NextEvi("c", "", ""), SAID)] == ["transcription"]


def test_wespoke_pieces_its_text_together() -> None:
    texts: list[e.Event] = [
        e.AgentTextDelta("turn-1", "Hello "),
        e.AgentTextDelta("turn-1", "there."),
        e.AgentText("turn-1", "Hello there."),
    ]
    items = list(told(Wespoke(), *texts))
    assert [(i["content"], i["isFirstChunk"], i["isComplete"]) for i in items] == [
        ("Hello ", True, False), ("Hello there.", False, False), ("Hello there.", False, True)
    ]  # fmt: skip


def test_an_answer_in_wespokes_chat_is_done_when_the_agent_listens_again() -> None:
    names = [name for name, _ in told(WespokeChat(), e.AgentTextDelta("turn-1", "Hi."), e.StateChanged("listening"))]
    assert names == ["message:start", "message:chunk", "done"]


def test_wespoke_s_times_are_numbers_and_its_tools_have_their_sdks_fields() -> None:
    messages = list(told(Wespoke(), *EVERY))
    assert all(isinstance(m["timestamp"], int) and m["timestamp"] > 1e12 for m in messages)
    start, complete = (next(m for m in messages if m["type"] == kind) for kind in ("tool_start", "tool_complete"))
    assert start["toolDetails"] == {"id": "tool-1", "parameters": {"order": 7}}
    assert complete["toolDetails"] == {"id": "tool-1", "result": {"shipped": True}, "executionTime": 2000}
    assert next(m for m in messages if m["type"] == "metrics")["latency"] == 390.0


@pytest.mark.parametrize("reason", ["max_duration", "credits_exhausted"])
def test_wespoke_says_why_a_call_will_end(reason: str) -> None:
    (warned,) = told(Wespoke(), e.CallWarning("call_ending", "It ends soon.", 15.0, reason))
    assert (warned["reason"], warned["remaining"]) == (reason, 15.0)


def test_wespoke_s_chat_names_documents() -> None:
    passages = tuple(e.KnowledgeSource(file, "Prices", 1.0) for file in ("a.md", "a.md", "b.md"))
    (used,) = told(WespokeChat(), e.KnowledgeUsed("turn-1", "prices", passages))
    assert (used[0], used[1]["sources"]) == ("knowledge:used", ["a.md", "b.md"])


@pytest.mark.parametrize(
    ("language", "pack"),
    [
        ("", (None, " ", "left-to-right")),
        ("es", ("Spanish", " ", "left-to-right")),
        ("ja", ("Japanese", "", "left-to-right")),
        ("ar", ("Arabic", " ", "right-to-left")),
    ],
)
def test_flow_describes_the_language(language: str, pack: tuple[str | None, str, str]) -> None:
    started = next(told(Flow(language), EVERY[0]))["language_pack_info"]
    assert (started.get("language_description"), started["word_delimiter"], started["writing_direction"]) == pack


def test_flow_counts_seconds_whole() -> None:
    messages = list(told(Flow(), EVERY[0], e.CallWarning("call_ending", "The call is limited.", 14.6)))
    limits = [m[m["type"]] for m in messages if m.get("type", "").startswith("conversation_")]
    assert [(type(each), each) for each in limits] == [(int, 600), (int, 15)]


def test_nextevi_says_how_long_it_took() -> None:
    events = (e.UserSpeechStarted("turn-1"), e.UserSpeechStopped("turn-1"), e.UserTranscript("turn-1", "hi", True))
    *_, said, ended = told(NextEvi("c", "", ""), *events, e.TurnEnded("turn-1", 0.9, "hi", "semantic"))
    assert (said["processing_time"], ended["turn_result"]["processing_time"]) == (1.0, 2.0)


def test_pinecall_counts_words_and_times_of_what_was_said() -> None:
    spoken = (
        e.AgentSpeechStarted("turn-1"),
        e.AgentWord("turn-1", "Hello", 0.0, 0.3),
        e.AgentWord("turn-1", "there", 0.3, 0.6),
        e.AgentSpeechStopped("turn-1", "completed", "Hello there"),
    )
    messages = list(told(Pinecall(), *spoken))
    assert [m.get("word_index") for m in messages if m["event"] == "bot.word"] == [0, 1]
    (finished,) = [m for m in messages if m["event"] == "bot.finished"]
    assert finished["duration_ms"] == 3000


def test_a_program_s_own_name_of_a_reply_is_told_back() -> None:
    followed = FollowedCall("mara", "call-1", 0.0)
    followed.expect("Hello there.", "mine")
    spoken: list[e.Event] = [e.AgentText("turn-1", "Hello there."), e.AgentSpeechStarted("turn-1")]
    envelopes = [e.Envelope("call-1", n, float(n), event) for n, event in enumerate(spoken)]
    messages = [m for envelope in envelopes for m in followed.outgoing(envelope, "")]
    assert [m["message_id"] for m in messages if m["event"] == "bot.speaking"] == ["mine"]


def test_nextevi_begins_a_new_generation_with_each_turn() -> None:
    dialect = NextEvi("connection", "mara", "")
    texts: list[e.Event] = [e.AgentTextDelta("turn-1", "One."), e.AgentTextDelta("turn-2", "Two.")]
    messages = list(told(dialect, *texts))
    assert [(m["generation_id"], m["chunk_index"]) for m in messages] == [("turn-1", 0), ("turn-2", 0)]


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ({"enabled": True}, (45, 25)),
        ({"warning_timeout": 10}, (10, 25)),
        ({"hangup_timeout": 30}, (15, 15)),
        ({"warning_timeout": 10, "hangup_timeout": 30, "enabled": True}, (10, 20)),
        ({"warning_timeout": 30, "hangup_timeout": 30}, (30, 0.1)),
        ({"warning_timeout": 90, "hangup_timeout": 30}, (30, 0.1)),
    ],
)
def test_nextevi_s_idle_timeout_may_be_given_in_part(given: dict[str, Any], bounds: tuple[float, float]) -> None:
    dialect = NextEvi("c", "mara", "")
    settings: Any = dialect.parse(json.dumps({"type": "session_settings", "encoding": "pcm", "idle_timeout": given}))
    assert dialect.manner == "sdk"
    assert settings.idle_timeout.bounds(45, 25) == bounds


@pytest.mark.parametrize("cause", ["silence", "semantic", "client"])
def test_nextevi_says_why_a_turn_ended(cause: Any) -> None:
    (message,) = told(NextEvi("c", "mara", ""), e.TurnEnded("turn-1", 0.9, "hello", cause))
    assert message["turn_result"]["reasons"] == [cause]


@pytest.mark.parametrize(
    ("dialect", "text", "asked"),
    [
        (Flow(), '{"message":"AudioEnded","last_seq_no":3}', e.CallEnd(type="call.end", finish=True)),
        (
            Flow(), '{"message":"ToolResult","id":"1","status":"ok","content":"7"}',
            e.ToolResult(type="tool.result", id="1", result=7),
        ),
        (
            Flow(), '{"message":"AddInput","input":"x","immediate":null,"interrupt_response":null}',
            e.TextSend(type="text.send", text="x", role="system", immediate=False, interrupt=False),
        ),
        (NextEvi("c", "", ""), '{"type":"end_turn"}', e.TurnEnd(type="turn.end")),
        (Pinecall(), '{"action":"mute"}', e.UserMute(type="user.mute", muted=True)),
        (PinecallChat(False), '{"event":"message","text":"hi"}', e.TextSend(type="text.send", text="hi")),
        (Wespoke(), '{"type":"agent.interrupt"}', e.AgentInterrupt(type="agent.interrupt")),
    ],
)  # fmt: skip
def test_what_a_client_says_is_asked_of_the_call(dialect: Any, text: str, asked: e.ClientMessage) -> None:
    assert list(dialect.incoming(text)) == [asked]


@pytest.mark.parametrize("make", DIALECTS[:5], ids=["flow", "nextevi", "pinecall", "pinecall-chat", "wespoke"])
def test_nonsense_is_refused_with_a_sentence(make: Callable[[], Any]) -> None:
    for text in ("", "[]", "{}", '{"type": 1}', b"\xff"):
        with pytest.raises(ClientError) as refused:
            make().incoming(text)
        assert refused.value.message.endswith(".")
