/** A transcript as text, JSON and WebVTT. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { asJson, asText, asWebVtt, clock } from "../../static/js/record.js";

/** @type {import("../../static/js/record.js").CallRecord} */
const CALL = {
  agent: "assistant",
  call_id: "call-1",
  started_at: "27/11/2026, 10:00",
  lines: [
    { who: "note", name: "", text: "Connected", at_s: 0, until_s: 0 },
    { who: "agent", name: "assistant", text: "Hello.", at_s: 0.5, until_s: 1.2 },
    { who: "you", name: "You", text: "What is 2 < 3 & 4?\n\n--> stop", at_s: 61.25, until_s: 64 },
    { who: "agent", name: "assistant", text: "One", at_s: 3661.0004, until_s: 3661.2, interrupted: true },
  ],
};

test("times are read as people write them", () => {
  assert.deepEqual([0, 5.9, 65, 3599, 3600, 3725, -3].map(clock), [
    "0:00",
    "0:05",
    "1:05",
    "59:59",
    "1:00:00",
    "1:02:05",
    "0:00",
  ]);
});

test("as text, notes are in brackets and cuts are marked", () => {
  const lines = asText([CALL]).split("\n");
  assert.equal(lines[0], "assistant, 27/11/2026, 10:00");
  assert.equal(lines[2], "[0:00] (Connected)");
  assert.equal(lines[3], "[0:00] assistant: Hello.");
  assert.ok(lines.at(-2)?.endsWith("[1:01:01] assistant: One —"));
});

test("JSON holds the calls as they are", () => {
  assert.deepEqual(JSON.parse(asJson([CALL])), { calls: [CALL] });
});

describe("WebVTT", () => {
  const cues = asWebVtt([CALL]).trim().split("\n\n");

  test("has a head and a cue for all that was spoken", () => {
    assert.equal(cues[0], "WEBVTT");
    assert.equal(cues.length, 4);
  });

  test("has times of three digits, and no cue shorter than a second", () => {
    assert.ok(cues[1].startsWith("00:00:00.500 --> 00:00:01.500\n"));
    assert.ok(cues[3].startsWith("01:01:01.000 --> 01:01:02.000\n"));
  });

  test("lets no text be markup, a time or the end of its cue", () => {
    assert.equal(cues[2], "00:01:01.250 --> 00:01:04.000\n<v You>What is 2 &lt; 3 &amp; 4? --&gt; stop");
  });

  test("is of the last call, and valid where nothing was said", () => {
    assert.equal(asWebVtt([CALL, { ...CALL, lines: [] }]), "WEBVTT\n");
    assert.equal(asWebVtt([]), "WEBVTT\n");
  });
});
