/** Bands as places on paper. What was not measured has no place: two bands with a hole between them
 * are never joined. */

import type { Ends } from './scale';
import type { Band, Line, Mark } from './rest';

/** Bands that follow each other without a step left out. */
export function runs(bands: readonly Band[], stepMs: number): Band[][] {
  const found: Band[][] = [];
  let last = -Infinity;
  for (const band of bands) {
    const at = Date.parse(band.at);
    // Half a step of room: a day with a changed clock is an hour longer.
    if (at - last <= stepMs * 1.5) found.at(-1)?.push(band);
    else found.push([band]);
    last = at;
  }
  return found;
}

/** Lines that share a unit share a picture: both pressures, and the pulse below. */
export function byUnit(lines: readonly Line[]): Line[][] {
  const units = [...new Set(lines.map(({ unit }) => unit))];
  return units.map((unit) => lines.filter((line) => line.unit === unit));
}

/** The lowest and the highest of all that is drawn. */
export function endsOf(lines: readonly Line[]): Ends {
  const bands = lines.flatMap((line) => line.bands);
  return {
    low: Math.min(...bands.map(({ low }) => low)),
    high: Math.max(...bands.map(({ high }) => high)),
  };
}

/** Lowest, highest and mean of a whole line; each reading counts once. */
export function wholeOf({ bands }: Line): Pick<Band, 'n' | 'low' | 'high' | 'mean'> {
  const n = bands.reduce((sum, band) => sum + band.n, 0);
  return {
    n,
    low: Math.min(...bands.map(({ low }) => low)),
    high: Math.max(...bands.map(({ high }) => high)),
    mean: bands.reduce((sum, band) => sum + band.mean * band.n, 0) / n,
  };
}

/** Every moment at which any line has a band, in order. */
export function moments(lines: readonly Line[]): number[] {
  const all = lines.flatMap(({ bands }) => bands.map(({ at }) => Date.parse(at)));
  return [...new Set(all)].sort((left, right) => left - right);
}

/** What each line has at this moment. */
export function bandsAt(lines: readonly Line[], at: number): { line: Line; band: Band | null }[] {
  return lines.map((line) => ({
    line,
    band: line.bands.find((band) => Date.parse(band.at) === at) ?? null,
  }));
}

/** A mark at the foot or at the head of the paper, pointing out of it. */
export function markPath(
  mark: Mark,
  stepMs: number,
  size: number,
  ends: Ends,
  x: Paper['x'],
): string {
  const above = mark.word === 'above_scale';
  const [from, to] = above ? [ends.high + size, ends.high] : [ends.low - size, ends.low];
  const at = x(Date.parse(mark.at) + stepMs / 2);
  return `M${place(at - size / 2)},${place(from)}L${place(at + size / 2)},${place(from)}L${place(at)},${place(to)}Z`;
}

/** Paper: how times and values become places. */
export interface Paper {
  x: (atMs: number) => number;
  y: (value: number) => number;
}

const place = (value: number): string => value.toFixed(1);

/** The middle of a band along the foot. */
export const middle = (band: Band, stepMs: number): number => Date.parse(band.at) + stepMs / 2;

/** The mean as a path; of a band that stands alone there is no line. */
export function meanPath(run: readonly Band[], stepMs: number, { x, y }: Paper): string {
  const points = run.map((band) => `${place(x(middle(band, stepMs)))},${place(y(band.mean))}`);
  return points.length > 1 ? `M${points.join('L')}` : '';
}

/** From the lowest to the highest as an area; of a band that stands alone, as an upright line. */
export function areaPath(run: readonly Band[], stepMs: number, { x, y }: Paper): string {
  const at = (band: Band, value: number): string =>
    `${place(x(middle(band, stepMs)))},${place(y(value))}`;
  const [only] = run;
  if (only === undefined) return '';
  if (run.length === 1) return `M${at(only, only.low)}L${at(only, only.high)}`;
  const up = run.map((band) => at(band, band.high));
  const down = [...run].reverse().map((band) => at(band, band.low));
  return `M${[...up, ...down].join('L')}Z`;
}
