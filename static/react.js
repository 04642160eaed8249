/**
 * For pages with React 18 or 19, which they bring themselves (`react` in an import map or a bundler).
 * @module
 */

import { createContext, createElement, useCallback, useContext, useEffect, useRef, useState } from "react";
import { VoiceSession } from "./voice-session.js";
import "./voice-widget.js";

/** @typedef {{id: string, role: "user" | "bot", text: string, isInterim: boolean}} Message */

/**
 * One call, as a component sees it. Options may be literals: a new object at each render changes nothing of a call under way.
 * @param {import("./voice-session.js").Options & {autoConnect?: boolean}} options
 */
export function useVoiceAssistant(options) {
  const latest = useRef(options);
  latest.current = options;
  const session = useRef(/** @type {VoiceSession | null} */ (null));
  const [connectionState, setConnectionState] = useState("disconnected");
  const [phase, setPhase] = useState("idle");
  const [isMicEnabled, setMicEnabled] = useState(false);
  const [error, setError] = useState(/** @type {string | null} */ (null));
  const [messages, setMessages] = useState(/** @type {Message[]} */ ([]));
  const voice = useRef(/** @type {HTMLAudioElement | null} */ (null));

  const connect = useCallback(async () => {
    if (session.current) return;
    const mine = (session.current = new VoiceSession(latest.current));
    setConnectionState("connecting");
    setError(null);
    setMessages([]);
    /** @param {string} id @param {"user" | "bot"} role @param {string} text @param {boolean} isInterim */
    const say = (id, role, text, isInterim) =>
      setMessages((before) => [...before.filter((m) => m.id !== id), ...(text ? [{ id, role, text, isInterim }] : [])]);
    /** @param {string} type @param {(detail: any) => void} react */
    const on = (type, react) => mine.addEventListener(type, (e) => session.current === mine && react(/** @type {CustomEvent} */ (e).detail));
    on("streams", ({ voice: stream }) => {
      voice.current = new Audio();
      voice.current.srcObject = stream;
      void voice.current.play().catch(() => setError("The browser does not play sound yet; click the page."));
    });
    on("state.changed", (e) => setPhase(e.state));
    on("user.transcript", (e) => say(`user ${e.turn_id}`, "user", e.text, !e.final));
    on("agent.text", (e) => say(`bot ${e.turn_id}`, "bot", e.text, false));
    on("ended", ({ message }) => {
      session.current = null;
      setConnectionState("disconnected");
      setPhase("idle");
      setMicEnabled(false);
      setError(message ?? null);
    });
    try {
      await mine.connect();
      if (session.current !== mine) return;
      setConnectionState("connected");
      setMicEnabled(true);
    } catch (problem) {
      if (session.current !== mine) return;
      session.current = null;
      setConnectionState("disconnected");
      setError(problem instanceof Error ? problem.message : String(problem));
    }
  }, []);
  const disconnect = useCallback(() => session.current?.hangUp(), []);
  const toggleMicrophone = useCallback(() => {
    setMicEnabled((enabled) => {
      session.current?.mute(enabled);
      return !enabled;
    });
  }, []);
  useEffect(() => {
    if (latest.current.autoConnect) void connect();
    return disconnect; // a component that is gone does not listen on
  }, [connect, disconnect]);
  return {
    connectionState, phase, messages, error, isMicEnabled, connect, disconnect, toggleMicrophone,
    isConnected: connectionState === "connected", isConnecting: connectionState === "connecting",
  };
}

const Voice = createContext(/** @type {ReturnType<typeof useVoiceAssistant> | null} */ (null));

/** What the `VoiceProvider` around a component knows of its call. */
export function useVoice() {
  const voice = useContext(Voice);
  if (!voice) throw new Error("useVoice: there is no VoiceProvider around this component.");
  return voice;
}

/** @param {import("./voice-session.js").Options & {autoConnect?: boolean, children?: any}} props */
export function VoiceProvider({ children, ...options }) {
  return createElement(Voice.Provider, { value: useVoiceAssistant(options) }, children);
}

/**
 * `<voice-widget>` as a component.
 * @param {{agent: string, base?: string, label?: string, tokenProvider?: () => Promise<string>, onStatusChange?: (status: string) => void}} props
 */
export function VoiceWidget({ tokenProvider, onStatusChange, ...attributes }) {
  const element = useRef(/** @type {import("./voice-widget.js").VoiceWidget | null} */ (null));
  const told = useRef(onStatusChange);
  told.current = onStatusChange;
  useEffect(() => {
    const widget = element.current;
    if (!widget) return undefined;
    /** @param {Event} e */
    const tell = (e) => told.current?.(/** @type {CustomEvent} */ (e).detail.status);
    widget.addEventListener("status", tell);
    return () => widget.removeEventListener("status", tell);
  }, []);
  useEffect(() => {
    if (element.current) element.current.tokenProvider = tokenProvider;
  }, [tokenProvider]);
  return createElement("voice-widget", { ref: element, ...attributes });
}
