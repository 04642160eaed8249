/** What `<voice-widget>` looks like. @module */

export const STYLE = `
:host {
  /* as the page is, not as the system would like it: light-dark() goes by the page's color-scheme */
  --accent: var(--vw-accent, var(--theme-accent, light-dark(#0f766e, #2dd4bf))); --accent-text: var(--vw-accent-text, light-dark(#ffffff, #06201c));
  --background: var(--vw-background, var(--theme-background, light-dark(#ffffff, #151f1d))); --text: var(--vw-text, light-dark(#14201e, #e6efed));
  --soft: var(--vw-soft, light-dark(#50615d, #a3b4b0)); --mine: var(--vw-mine, var(--theme-mine, light-dark(#d8f1ec, #134e48))); --size: var(--vw-size, 4.5rem);
  position: relative; box-sizing: border-box; display: inline-flex; flex-direction: column; align-items: center; gap: .6rem; max-width: 100%;
  color: var(--text); font: var(--vw-font, 16px/1.45 system-ui, sans-serif); text-align: left;
}
:host([theme=light]), :host([theme=sunset]) { color-scheme: light; }
:host([theme=dark]), :host([theme=midnight]), :host([theme=aurora]) { color-scheme: dark; }
:host([theme=midnight]) { --theme-accent: #a5b4fc; --theme-background: #0f1330; --theme-mine: #312e81; }
:host([theme=aurora]) { --theme-accent: #6ee7b7; --theme-background: #0b2027; --theme-mine: #14532d; }
:host([theme=sunset]) { --theme-accent: #c2410c; --theme-background: #fff7ed; --theme-mine: #fed7aa; }
:host([theme]:not([theme=""], [mode=modal])) { background: var(--background); padding: 1rem; border-radius: 18px; }
*, ::before { box-sizing: border-box; }
[hidden] { display: none !important; }
button, input, select { font: inherit; }
button { border: 0; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.orb:focus-visible { outline-color: var(--text); outline-offset: 4px; }
.orb {
  position: relative; isolation: isolate; flex: none; width: var(--size); height: var(--size); border-radius: 50%; padding: 0;
  display: grid; place-items: center; background: var(--accent); color: var(--accent-text); font-size: calc(var(--size) * .34); font-weight: 650;
  box-shadow: 0 6px 22px rgb(0 0 0 / 22%);
}
.orb::before {
  content: ""; position: absolute; inset: 0; border-radius: 50%; background: var(--accent); opacity: .3; z-index: -1;
  transform: scale(calc(1 + var(--level, 0) * .4)); transition: transform 80ms linear;
}
.orb svg { width: 45%; height: 45%; }
.orb img, .face img { width: 100%; height: 100%; border-radius: 50%; object-fit: cover; }
:host([data-status=connecting]) .orb, :host([data-phase=thinking]) .orb { animation: breathe 1s ease-in-out infinite alternate; }
@keyframes breathe { to { opacity: .6; } }
.status { margin: 0; font-size: .88em; color: var(--soft); min-height: 1.45em; text-align: center; }
.problem { margin: 0; max-width: 22rem; padding: .6rem .9rem; border-radius: 12px; background: #fdecec; color: #991b1b; font-size: .92em; }
.consent { display: grid; gap: .7rem; padding: .9rem 1rem; border-radius: 14px; background: color-mix(in srgb, var(--soft) 12%, var(--background)); font-size: .95em; }
.consent p { margin: 0; }
.said { position: relative; padding: .2rem; min-width: 0; max-height: 18rem; overflow-y: auto; scrollbar-width: thin; }
.said ul { list-style: none; margin: 0; padding: 0; display: flex; flex-direction: column; gap: .4rem; }
.said li { unicode-bidi: plaintext; padding: .5rem .85rem; border-radius: 15px; max-width: 88%; overflow-wrap: anywhere; background: color-mix(in srgb, var(--soft) 14%, transparent); align-self: flex-start; border-bottom-left-radius: 5px; }
.said li.user { background: var(--mine); align-self: flex-end; border-bottom-left-radius: 15px; border-bottom-right-radius: 5px; }
.said li.partial { opacity: .75; }
.row { display: flex; gap: .5rem; flex-wrap: wrap; align-items: center; justify-content: center; }
.write { width: 100%; flex-wrap: nowrap; }
.write input { flex: 1; min-width: 0; color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: 999px; padding: .45rem 1rem; min-height: 2.6rem; }
.devices { display: grid; gap: .5rem; width: 100%; font-size: .88em; color: var(--soft); }
.devices label { display: grid; gap: .2rem; }
.devices select { width: 100%; min-width: 0; padding: .4rem .6rem; border: 1px solid var(--soft); border-radius: 10px; background: var(--background); color: var(--text); }
.small { background: color-mix(in srgb, var(--soft) 20%, transparent); color: inherit; border-radius: 999px; padding: .45rem 1rem; min-height: 2.6rem; }
.small.strong { background: var(--accent); color: var(--accent-text); font-weight: 600; }
.small.end { background: #b91c1c; color: #fff; }
.square { padding: .45rem; width: 2.6rem; display: inline-grid; place-items: center; }
.square svg { width: 1.2rem; height: 1.2rem; }
/* beside the orb, over the page rather than in it: nothing of the site moves */
.float { display: flex; flex-direction: column; align-items: stretch; gap: .6rem; }
:host(:not([mode=modal], [mode=chat])) .float {
  position: absolute; z-index: 1; left: 50%; width: min(21rem, calc(100vw - 1.5rem)); translate: calc(-50% + var(--shift, 0px)) 0; padding: .9rem;
  background: var(--background); border-radius: 18px; box-shadow: 0 14px 48px rgb(0 0 0 / 22%);
}
:host(:not([mode=modal], [mode=chat])) .float[data-side=above] { bottom: calc(100% + .7rem); }
:host(:not([mode=modal], [mode=chat])) .float[data-side=below] { top: calc(100% + .7rem); }
:host([mode=chat]) { width: min(26rem, 100%); align-items: stretch; }
:host([mode=chat]) .status { text-align: left; padding-left: .2rem; order: -1; }
:host([mode=modal]) { position: fixed; inset: auto; z-index: 2147483000; right: 1rem; bottom: 1rem; }
:host([mode=modal][position$=left]) { right: auto; left: 1rem; }
:host([mode=modal][position^=top]) { bottom: auto; top: 1rem; }
.panel {
  position: fixed; inset: auto 1rem calc(var(--size) + 2rem) auto; flex-direction: column; align-items: stretch; gap: .7rem; width: min(24rem, calc(100vw - 2rem));
  max-height: calc(100dvh - var(--size) - 3.5rem); overflow-y: auto; margin: 0; padding: 1rem; border: 1px solid color-mix(in srgb, var(--soft) 25%, transparent); border-radius: 20px;
  background: var(--background); color: inherit; box-shadow: 0 18px 60px rgb(0 0 0 / 28%);
}
:host([position$=left]) .panel { right: auto; left: 1rem; }
:host([position^=top]) .panel { bottom: auto; top: calc(var(--size) + 2rem); }
.panel[open] { display: flex; }
.panel:focus { outline: none; }
.panel .orb { align-self: center; --size: var(--vw-size, 5.5rem); margin: .6rem 0; }
.panel .problem { max-width: none; }
/* what was said gives way, so that the buttons below it stay in view */
.panel > *, .float > * { flex: none; }
.panel .float { flex: 0 1 auto; min-height: 0; }
.panel .said { flex: 0 1 auto; min-height: 5rem; }
.head { display: flex; align-items: center; gap: .6rem; font-weight: 650; }
.head span { flex: 1; min-width: 0; overflow-wrap: anywhere; }
.launcher { flex-direction: row; }
.launcher[aria-expanded=true]::before { transform: none; }
.launcher .badge { position: absolute; inset: auto -.2rem -.1rem auto; width: 1.2rem; height: 1.2rem; border-radius: 50%; background: #15803d; border: 3px solid var(--background); }
@media (max-height: 44rem) { .panel .orb { --size: var(--vw-size, 4rem); margin: .2rem 0; } }
@media (max-width: 30rem) { .panel { inset-inline: .6rem; width: auto; } }
@media (forced-colors: active) { button, .said li, .panel, .problem, .consent, :host(:not([mode=modal], [mode=chat])) .float { border: 1px solid; } .said li.user { border-style: dashed; } }
@media (prefers-reduced-motion: reduce) { .orb, .orb::before { animation: none !important; transition: none; transform: none; } }
`;
