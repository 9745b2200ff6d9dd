import { type Phase, seconds } from "../runner/summary.ts";
import { escapeHtml } from "./escape.ts";

const ROW = 40;
const BAR = 10;
/** What is too short to be seen is drawn this wide (per cent). */
const LEAST = 0.6;

/**
 * The phases as a picture: one row each, at the place in time where it was. Widths are per cent and texts have a fixed
 * size, so the same picture is right on a phone and on a wide screen.
 */
export function timelineSvg(phases: readonly Phase[]): string {
  if (phases.length === 0) return "";
  const zero = Math.min(...phases.map(({ from }) => from));
  const whole = Math.max(1, Math.max(...phases.map(({ to }) => to)) - zero);
  const rows = phases.map(({ name, from, to }, index) => {
    const y = index * ROW;
    const width = Math.max(LEAST, ((to - from) / whole) * 100);
    const left = Math.min(((from - zero) / whole) * 100, 100 - width);
    return [
      `<text x="0" y="${y + 14}">${escapeHtml(name)}</text>`,
      `<text class="took" x="100%" y="${y + 14}">${escapeHtml(seconds(to - from))}</text>`,
      `<rect class="track" x="0" y="${y + 20}" width="100%" height="${BAR}" rx="5"/>`,
      `<rect class="bar" x="${left.toFixed(2)}%" y="${y + 20}" width="${width.toFixed(2)}%" height="${BAR}" rx="5"/>`,
    ].join("");
  });
  const height = phases.length * ROW + 16;
  const label = phases.map(({ name, from, to }) => `${name} ${seconds(to - from)}`).join(", ");
  const axis =
    `<text class="axis" x="0" y="${height - 2}">0 s</text>` +
    `<text class="axis took" x="100%" y="${height - 2}">${escapeHtml(seconds(whole))}</text>`;
  return `<svg role="img" aria-label="${escapeHtml(label)}" width="100%" height="${height}">${rows.join("")}${axis}</svg>`;
}
