/** What `npm run react` makes `vendor/react.js` of: one module for the names that pages import from React. @module */

import React from "react";

export { createRoot } from "react-dom/client";
export const {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
  StrictMode,
  Fragment,
} = React;
export default React;
