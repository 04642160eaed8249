/**
 * For pages with React 18 or 19, which they bring themselves (`react` in an import map or a bundler).
 * @module
 */

import { createContext, createElement, useCallback, useContext, useEffect, useRef, useSyncExternalStore } from "react";
import { VoiceSession } from "./voice-session.js";
import "./voice-widget.js";

/** @typedef {import("./voice-session.js").Options & {autoConnect?: boolean}} Options */

/**
 * One call, as a component sees it: its state, and what can be done. Options may be literals: a new object at each render
 * changes nothing of a call under way.
 * @param {Options} options
 */
export function useVoiceAssistant(options) {
  const latest = useRef(options);
  latest.current = options;
  const own = useRef(/** @type {VoiceSession | null} */ (null));
  const session = (own.current ??= new VoiceSession(options));
  const state = useSyncExternalStore(
    useCallback((/** @type {() => void} */ told) => session.subscribe(told), [session]),
    () => session.getState(),
  );
  const connect = useCallback(async () => {
    session.updateOptions(latest.current);
    await session.connect().catch(() => {}); // the state says what was wrong
  }, [session]);
  const disconnect = useCallback(() => session.disconnect(), [session]);
  const toggleMicrophone = useCallback(() => session.toggleMute(), [session]);
  useEffect(() => {
    if (latest.current.autoConnect) void connect();
    return disconnect; // a component that is gone does not listen on
  }, [connect, disconnect]);
  const isConnected = state.status === "connected";
  return {
    ...state,
    session,
    connect,
    disconnect,
    toggleMicrophone,
    isConnected,
    isConnecting: state.status === "connecting",
    isMicEnabled: isConnected && !state.isMuted,
    error: state.error?.message ?? null,
    connectionState: state.status === "idle" || state.status === "error" ? "disconnected" : state.status,
  };
}

const Voice = createContext(/** @type {ReturnType<typeof useVoiceAssistant> | null} */ (null));

/** What the `VoiceProvider` around a component knows of its call. */
export function useVoice() {
  const voice = useContext(Voice);
  if (!voice) throw new Error("useVoice: there is no VoiceProvider around this component.");
  return voice;
}

/** @param {Options & {children?: any}} props */
export function VoiceProvider({ children, ...options }) {
  return createElement(Voice.Provider, { value: useVoiceAssistant(options) }, children);
}

/**
 * `<voice-widget>` as a component.
 * @param {{agent: string, mode?: "orb" | "modal" | "chat", theme?: string, server?: string, label?: string, tokenProvider?: import("./voice-session.js").Options["tokenProvider"], onStatusChange?: (status: string) => void, [attribute: string]: any}} props
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
