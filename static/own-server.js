/** Where the server is that these files came from. @module */

/**
 * Its path, without a slash at the end: empty at the root of the page's origin, and also for files that came from
 * elsewhere, a bundle of an application say; `/voice` behind a proxy that has it under that path.
 */
export const OWN_SERVER = found();

function found() {
  if (typeof location === "undefined") return "";
  const here = new URL(".", import.meta.url);
  return here.origin === location.origin && here.pathname.endsWith("/static/")
    ? here.pathname.slice(0, -"/static/".length)
    : "";
}
