/** A call as React components; React comes by the page's import map. @module */

import { createElement as h } from "react";
import { createRoot } from "react-dom/client";
import { VoiceProvider, useVoice } from "../react.js";
import { shown } from "./page.js";

function Talk() {
  const {
    connectionState,
    phase,
    agentSpeaking,
    messages,
    error,
    isMicEnabled,
    connect,
    disconnect,
    toggleMicrophone,
  } = useVoice();
  const inCall = connectionState !== "disconnected";
  return h(
    "div",
    {},
    h(
      "p",
      {},
      h("button", { type: "button", onClick: connect, disabled: inCall }, "Call"),
      " ",
      h(
        "button",
        { type: "button", onClick: toggleMicrophone, disabled: !inCall },
        isMicEnabled || !inCall ? "Mute" : "Unmute",
      ),
      " ",
      h("button", { type: "button", onClick: disconnect, disabled: !inCall }, "Hang up"),
    ),
    h("p", { role: "status" }, shown({ status: connectionState, phase, agentSpeaking })),
    h("p", { role: "alert" }, error),
    h(
      "ol",
      { id: "said", "aria-live": "polite", "aria-label": "Conversation" },
      messages.map((m) => h("li", { key: m.id, "data-who": m.role === "user" ? "you" : "agent" }, m.text)),
    ),
  );
}

const root = /** @type {HTMLElement} */ (document.getElementById("root"));
createRoot(root).render(h(VoiceProvider, { agent: "assistant", children: h(Talk, {}) }));
