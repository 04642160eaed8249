// What TypeScript's own library lacks of the AudioWorklet's scope (Web Audio API, section 1.32).
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

// As much of React as react.js uses; pages bring the real one.
declare module "react" {
  interface Context<T> {
    Provider: unknown;
    value: T;
  }
  export function createContext<T>(value: T): Context<T>;
  export function createElement(type: unknown, props: object, ...children: unknown[]): unknown;
  export function useCallback<T extends (...args: never[]) => unknown>(callback: T, dependencies: unknown[]): T;
  export function useContext<T>(context: Context<T>): T;
  export function useEffect(effect: () => void | undefined | (() => void), dependencies: unknown[]): void;
  export function useRef<T>(value: T): { current: T };
  export function useSyncExternalStore<T>(subscribe: (told: () => void) => () => void, now: () => T): T;
}

declare module "react-dom/client" {
  export function createRoot(container: HTMLElement): { render(element: unknown): void };
}

// As much of Vue as its example uses.
declare module "vue" {
  export function createApp(component: object): { mount(selector: string): void };
  export function h(type: string, ...rest: unknown[]): unknown;
  export function onUnmounted(hook: () => void): void;
  export function shallowRef<T>(value: T): { value: T };
}
