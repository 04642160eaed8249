/** The state of a call that a page shows, event by event. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { after, IDLE } from "../../static/call-state.js";

/** @param {...Record<string, unknown>} events */
const told = (...events) => events.reduce(after, IDLE);

describe("what the caller says", () => {
  test("partial transcripts grow in one message, and the final one settles it", () => {
    const partial = { type: "user.transcript", turn_id: "1", text: "hel", final: false };
    const state = told(partial, { ...partial, text: "hello" });
    assert.deepEqual(state.messages, [{ id: "user-1", role: "user", text: "hello", isInterim: true }]);
    const [message] = after(state, { ...partial, text: "Hello.", final: true }).messages;
    assert.deepEqual([message.text, message.isInterim], ["Hello.", false]);
  });

  test("a transcript that turns out empty takes its message away, and no other", () => {
    const state = told(
      { type: "user.transcript", turn_id: "1", text: "hi", final: true },
      { type: "user.transcript", turn_id: "2", text: "h", final: false },
      { type: "user.transcript", turn_id: "2", text: "", final: true },
    );
    assert.deepEqual(
      state.messages.map((m) => m.id),
      ["user-1"],
    );
  });

  test("whoever speaks is not asked any more whether he is there", () => {
    const warned = told({ type: "idle.warning", remaining_s: 10 });
    assert.equal(warned.idleWarning, 10);
    assert.equal(after(warned, { type: "user.speech_started" }).idleWarning, null);
  });
});

describe("what the agent says", () => {
  test("pieces are joined, and the whole text takes their place", () => {
    const state = told(
      { type: "agent.text_delta", turn_id: "1", text: "It is " },
      { type: "agent.text_delta", turn_id: "1", text: "five" },
    );
    assert.deepEqual([state.messages[0].text, state.messages[0].isInterim], ["It is five", true]);
    const whole = after(state, { type: "agent.text", turn_id: "1", text: "It is five." });
    assert.deepEqual([whole.messages[0].text, whole.messages[0].isInterim], ["It is five.", false]);
  });

  test("of an interrupted answer there is what was heard", () => {
    const state = told(
      { type: "agent.text", turn_id: "1", text: "One two three." },
      { type: "agent.speech_started", turn_id: "1" },
      { type: "agent.speech_stopped", turn_id: "1", reason: "interrupted", heard: "One two" },
    );
    assert.deepEqual(
      [state.messages[0].text, state.messages[0].interrupted, state.messages[0].speaking],
      ["One two", true, false],
    );
  });

  test("a person who has taken over is named at what is said from then on", () => {
    const state = told(
      { type: "agent.text", turn_id: "1", text: "Hello." },
      { type: "call.paused" },
      { type: "agent.text", turn_id: "2", text: "This is Ann." },
      { type: "call.resumed" },
      { type: "agent.text", turn_id: "3", text: "Back again." },
    );
    assert.deepEqual(
      state.messages.map((m) => m.by),
      [undefined, "person", undefined],
    );
    assert.equal(state.personInCall, false);
  });
});

test("a tool's result goes to its own call", () => {
  const state = told(
    { type: "tool.called", id: "a", name: "time", arguments: { zone: "CET" } },
    { type: "tool.called", id: "b", name: "time" },
    { type: "tool.returned", id: "b", result: 5 },
    { type: "tool.returned", id: "a", error: "no such zone" },
  );
  assert.deepEqual(
    state.toolCalls.map(({ toolCallId, result, error }) => [toolCallId, result, error]),
    [
      ["a", undefined, "no such zone"],
      ["b", 5, undefined],
    ],
  );
  assert.deepEqual(state.toolCalls[1].arguments, {});
});

test("phases follow the server's states", () => {
  const phases = ["listening", "user_speaking", "thinking", "agent_speaking", "ended"].map(
    (state) => told({ type: "state.changed", state }).phase,
  );
  assert.deepEqual(phases, ["listening", "speaking", "thinking", "listening", "idle"]);
  assert.equal(told({ type: "state.changed", state: "agent_speaking" }).agentSpeaking, true);
  assert.equal(told({ type: "state.changed", state: "of another version" }).phase, "idle");
});

test("events of another version change nothing, and no state is changed in place", () => {
  assert.equal(told({ type: "of another version" }), IDLE);
  const before = told({ type: "agent.text", turn_id: "1", text: "Hello." });
  const copy = structuredClone(before);
  after(before, { type: "agent.text", turn_id: "1", text: "Bye." });
  assert.deepEqual(before, copy);
});
