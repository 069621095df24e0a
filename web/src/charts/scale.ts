/** Where ticks stand: round numbers up the side, the calendar along the foot. */

import { addDays } from '../i18n/dates';

export interface Ends {
  low: number;
  high: number;
}

/** Steps of 1, 2 or 5 that give at most `most` steps between the ends. */
function stepFor({ low, high }: Ends, most: number): number {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((one) => one * power >= rough - 1e-9 * power) ?? 10);
}

/**
 * Round numbers, the first at or below `low`, the last at or above `high`; none closer than `least`,
 * the smallest difference that is written out.
 */
export function roundTicks(ends: Ends, most: number, least = 0): number[] {
  // A single value stands in the middle of something.
  const { low, high } = ends.high > ends.low ? ends : { low: ends.low - 1, high: ends.high + 1 };
  const step = Math.max(stepFor({ low, high }, most), least);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

export type TickLabel = 'time' | 'day' | 'month';
export interface TimeTick {
  at: Date;
  label: TickLabel;
}

type Unit = 'hour' | 'day' | 'month';
const STEPS: readonly [Unit, number][] = [
  ['hour', 1],
  ['hour', 2],
  ['hour', 3],
  ['hour', 6],
  ['hour', 12],
  ['day', 1],
  ['day', 2],
  ['day', 5],
  ['day', 10],
  ['month', 1],
  ['month', 2],
  ['month', 3],
  ['month', 6],
];

function* along(since: Date, unit: Unit, step: number): Generator<Date> {
  const [year, month] = [since.getFullYear(), since.getMonth()];
  for (let index = 0; ; index += step) {
    if (unit === 'hour') yield new Date(year, month, since.getDate(), index);
    else if (unit === 'day') yield addDays(since, index);
    else yield new Date(year, month + index, 1);
  }
}

/** At most `most` moments of the local calendar from `since` on and before `until`. */
export function timeTicks(since: Date, until: Date, most: number): TimeTick[] {
  let found: TimeTick[] = [];
  for (const [unit, step] of STEPS) {
    found = [];
    for (const at of along(since, unit, step)) {
      if (at >= until || found.length > most) break;
      if (at < since) continue;
      const midnight = at.getHours() === 0;
      found.push({
        at,
        label: unit === 'hour' && !midnight ? 'time' : unit === 'month' ? 'month' : 'day',
      });
    }
    if (found.length <= most) break;
  }
  return found.slice(0, most);
}
