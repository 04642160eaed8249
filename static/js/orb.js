/** The living picture at the centre: the agent's voice as a body that moves, the caller's as rays around it. @module */

const RAYS = 72;
const BANDS = 24;
const LAYERS = 3;
const IDLE_FRAME_MS = 66;

/** @typedef {"idle" | "connecting" | "listening" | "user_speaking" | "thinking" | "agent_speaking" | "reconnecting" | "muted" | "person"} Look */
/** @typedef {{bands: (who: "user" | "agent", count: number) => number[]}} Voices */

export class Orb {
  /** @type {Look} */
  look = "idle";
  /** @type {Voices | null} */
  voices = null;
  #agent = new Array(BANDS).fill(0);
  #user = new Array(BANDS).fill(0);
  #energy = 0;
  #phase = 0;
  #last = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.#fit();
    requestAnimationFrame((now) => this.#frame(now));
  }

  #fit() {
    const scale = Math.min(2, devicePixelRatio);
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * scale));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * scale));
    this.#draw();
  }

  /** @param {number} now */
  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    const isCalm = !this.voices;
    if (isCalm && now - this.#last < IDLE_FRAME_MS) return;
    const seconds = Math.min(0.1, (now - this.#last) / 1000);
    this.#last = now;
    const speed = this.#still.matches
      ? 0
      : ({ thinking: 1.5, connecting: 1.3, reconnecting: 1.3 }[/** @type {string} */ (this.look)] ?? 0.45);
    this.#phase += seconds * (speed + 1.6 * this.#energy * (this.#still.matches ? 0 : 1));
    this.#follow(this.#agent, this.voices?.bands("agent", BANDS));
    this.#follow(this.#user, this.look === "muted" ? undefined : this.voices?.bands("user", BANDS));
    this.#energy = this.#agent.reduce((sum, x) => sum + x, 0) / BANDS;
    this.#draw();
  }

  /** Rises at once and falls slowly. @param {number[]} shown @param {number[] | undefined} now */
  #follow(shown, now) {
    for (let i = 0; i < BANDS; i++) shown[i] = Math.max(now?.[i] ?? 0, shown[i] * 0.86);
  }

  #draw() {
    const { canvas, context: c } = this;
    const size = canvas.width;
    const style = getComputedStyle(canvas);
    const body = style.getPropertyValue(this.look === "person" ? "--person" : "--agent").trim();
    const ray = style.getPropertyValue(this.look === "muted" ? "--pause" : "--caller").trim();
    c.clearRect(0, 0, size, size);
    c.save();
    c.translate(size / 2, size / 2);
    this.#halo(size, color(body));
    this.#rays(size, color(ray));
    this.#body(size, color(body));
    c.restore();
  }

  /** @param {number} size @param {string} hue */
  #halo(size, hue) {
    const c = this.context;
    const reach = size * (0.38 + 0.1 * this.#energy);
    const glow = c.createRadialGradient(0, 0, size * 0.12, 0, 0, reach);
    glow.addColorStop(0, faded(hue, 0.34));
    glow.addColorStop(1, faded(hue, 0));
    c.fillStyle = glow;
    c.beginPath();
    c.arc(0, 0, reach, 0, 2 * Math.PI);
    c.fill();
  }

  /** A dot each while it is quiet, a ray where the caller's voice has something. @param {number} size @param {string} hue */
  #rays(size, hue) {
    const c = this.context;
    const turning = ["thinking", "connecting", "reconnecting"].includes(this.look);
    c.lineCap = "round";
    c.lineWidth = Math.max(1.5, size * 0.0085);
    for (let i = 0; i < RAYS; i++) {
      // the low tones at the top, the same on both sides
      const side = Math.abs((((i / RAYS) * 2) % 2) - 1);
      const loud = this.#user[Math.min(BANDS - 1, Math.floor((1 - side) * BANDS * 0.8))];
      const angle = (i / RAYS) * 2 * Math.PI - Math.PI / 2;
      const passing = turning ? Math.max(0, Math.cos(angle - this.#phase * 2)) ** 6 : 0;
      const from = size * 0.385;
      const to = from + size * (0.002 + 0.095 * loud ** 1.4 + 0.018 * passing);
      c.strokeStyle = faded(hue, 0.28 + 0.72 * Math.min(1, loud * 1.6 + passing));
      c.beginPath();
      c.moveTo(from * Math.cos(angle), from * Math.sin(angle));
      c.lineTo(to * Math.cos(angle), to * Math.sin(angle));
      c.stroke();
    }
  }

  /** Translucent bodies, one over the other, that the agent's spectrum pushes outwards. @param {number} size @param {string} hue */
  #body(size, hue) {
    const c = this.context;
    const breath = this.#still.matches ? 0 : 0.012 * Math.sin(this.#phase * 1.3);
    for (let layer = LAYERS - 1; layer >= 0; layer--) {
      const radius = size * (0.235 + 0.022 * layer + breath * (1 + layer) + 0.05 * this.#energy);
      const wobble = size * (0.006 + 0.004 * layer) * (this.voices ? 1 : 0.8);
      c.beginPath();
      const points = 90;
      for (let i = 0; i <= points; i++) {
        const a = (i / points) * 2 * Math.PI;
        const band = this.#agent[Math.floor(Math.abs((((i / points) * 2) % 2) - 1) * (BANDS - 1))];
        const wave =
          Math.sin(a * 3 + this.#phase * (1 + layer * 0.4)) + 0.6 * Math.sin(a * 5 - this.#phase * 1.4 + layer);
        const r =
          radius + wobble * wave + size * 0.065 * band * (0.6 + 0.4 * Math.sin(a * 7 + this.#phase * 3 + layer * 2));
        c.lineTo(r * Math.cos(a), r * Math.sin(a));
      }
      c.closePath();
      const fill = c.createRadialGradient(-size * 0.09, -size * 0.11, size * 0.02, 0, 0, radius * 1.25);
      const strength = [1, 0.42, 0.24][layer];
      fill.addColorStop(0, faded(lighter(hue), strength));
      fill.addColorStop(0.62, faded(hue, strength));
      fill.addColorStop(1, faded(deeper(hue), strength));
      c.fillStyle = fill;
      c.fill();
    }
  }
}

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
/** @type {Map<string, string>} */
const known = new Map();

/** Any colour of CSS as `r, g, b`: a computed custom property may still read `light-dark(…)`. @param {string} css */
function color(css) {
  const dark = isDark();
  const key = `${css} ${dark}`;
  let rgb = known.get(key);
  if (!rgb && probe) {
    const pair = /^light-dark\(\s*(#\w+)\s*,\s*(#\w+)\s*\)$/.exec(css);
    probe.fillStyle = pair ? pair[dark ? 2 : 1] : css;
    probe.fillRect(0, 0, 1, 1);
    known.set(key, (rgb = [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)].join(", ")));
  }
  return rgb ?? "15, 118, 110";
}

export const isDark = () =>
  (document.documentElement.dataset.theme ||
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

/** @param {string} rgb @param {number} alpha */
const faded = (rgb, alpha) => `rgba(${rgb}, ${alpha.toFixed(3)})`;

/** @param {string} rgb @param {(x: number) => number} change */
const changed = (rgb, change) =>
  rgb
    .split(",")
    .map((x) => Math.round(Math.min(255, Math.max(0, change(Number(x))))))
    .join(", ");

/** @param {string} rgb */
const lighter = (rgb) => changed(rgb, (x) => x + (255 - x) * 0.42);

/** @param {string} rgb */
const deeper = (rgb) => changed(rgb, (x) => x * 0.74);
