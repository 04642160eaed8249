/** A call as a Vue component; Vue comes by the page's import map. @module */

import { createApp, h, onUnmounted, shallowRef } from "vue";
import { VoiceSession } from "../voice-session.js";
import { shown } from "./page.js";

/** @param {import("../voice-session.js").Options} options */
function useVoice(options) {
  const session = new VoiceSession(options);
  const state = shallowRef(session.getState());
  const problem = shallowRef("");
  const unsubscribe = session.subscribe(() => (state.value = session.getState()));
  onUnmounted(() => {
    unsubscribe();
    session.disconnect();
  });
  const connect = async () => {
    problem.value = "";
    await session.connect().catch((/** @type {Error} */ error) => (problem.value = error.message));
  };
  return { session, state, problem, connect };
}

const Talk = {
  setup() {
    const { session, state, problem, connect } = useVoice({ agent: "assistant" });
    return () => {
      const { status, messages, isMuted } = state.value;
      const inCall = status !== "idle" && status !== "error";
      return [
        h("p", [
          h("button", { type: "button", onClick: connect, disabled: inCall }, "Call"),
          " ",
          h(
            "button",
            { type: "button", onClick: () => session.toggleMute(), disabled: !inCall },
            isMuted ? "Unmute" : "Mute",
          ),
          " ",
          h("button", { type: "button", onClick: () => session.disconnect(), disabled: !inCall }, "Hang up"),
        ]),
        h("p", { role: "status" }, shown(state.value)),
        h("p", { role: "alert" }, problem.value),
        h(
          "ol",
          { id: "said", "aria-live": "polite", "aria-label": "Conversation" },
          messages.map((m) => h("li", { key: m.id, "data-who": m.role === "user" ? "you" : "agent" }, m.text)),
        ),
      ];
    };
  },
};

createApp(Talk).mount("#root");
