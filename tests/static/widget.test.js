/** The widget's texts and attributes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ATTRIBUTES, textAttribute } from "../../static/widget-attributes.js";
import { problemText, TEXTS } from "../../static/widget-texts.js";

test("every language has every text", () => {
  const names = Object.keys(TEXTS.en);
  for (const [language, texts] of Object.entries(TEXTS)) {
    assert.deepEqual(Object.keys(texts).sort(), [...names].sort(), language);
    for (const name of names) assert.ok(texts[name].trim(), `${language}: ${name}`);
  }
});

test("languages can be chosen that there are texts for", () => {
  const choices = ATTRIBUTES.find(({ name }) => name === "lang")?.choices ?? [];
  assert.deepEqual(choices.filter(Boolean).sort(), Object.keys(TEXTS).sort());
});

test("attributes have one name each, and choices where they are chosen from", () => {
  const names = ATTRIBUTES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, kind, choices, about } of ATTRIBUTES) {
    assert.equal(kind === "choice", (choices?.length ?? 0) > 1, name);
    assert.match(about, /\.$/, name);
    assert.match(name, /^[a-z-]+$/);
  }
});

test("a text is replaced by an attribute in the form of HTML, and by no attribute of another meaning", () => {
  assert.equal(textAttribute("hangUp"), "text-hang-up");
  assert.equal(textAttribute("talk"), "text-talk");
  const names = new Set(ATTRIBUTES.map(({ name }) => name));
  for (const text of Object.keys(TEXTS.en)) assert.ok(!names.has(textAttribute(text)), text);
});

test("visitors are told what they can mend, and nothing of the rest", () => {
  assert.equal(problemText("microphone_refused"), "microphoneRefused");
  assert.equal(problemText("too_many_calls"), "busy");
  assert.equal(problemText("internal_error"), "unavailable");
  for (const code of ["microphone_refused", "busy", "connection_lost", "nonsense"]) {
    assert.ok(problemText(code) in TEXTS.en, code);
  }
});
