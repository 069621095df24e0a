/** Calipers on a frozen strip: two moments and two levels, and what lies between them. */

import { PX_PER_MM, type Gain } from './scale';

export type Marker = 'first' | 'second' | 'upper' | 'lower';

export interface Calipers {
  /** Milliseconds from the left edge of the strip. */
  first: number;
  second: number;
  /** Millivolts from the zero line. */
  upper: number;
  lower: number;
}

/** How far the markers may go: the strip is `ms` long and shows `mv` to both sides of zero. */
export interface Room {
  ms: number;
  mv: number;
}

export interface Between {
  ms: number;
  /** Beats a minute when the distance is one beat; null where no heart beats so. */
  bpm: number | null;
  mv: number;
}

export const STEP_MS = 10;
const LARGE = 10;
/** 300 a minute is the fastest a chamber follows; beyond 6 s nobody counts by calipers. */
const SHORTEST_BEAT_MS = 200;
const LONGEST_BEAT_MS = 6_000;
/** A line this near to the finger is the one that was meant (CSS px). */
const REACH_PX = 22;

const within = (value: number, low: number, high: number): number =>
  Math.min(high, Math.max(low, value));

export const isMoment = (marker: Marker): boolean => marker === 'first' || marker === 'second';

/** One screen pixel in millivolts. */
export const stepMv = (gain: Gain): number => 1 / (gain * PX_PER_MM);

export function between({ first, second, upper, lower }: Calipers): Between {
  const ms = Math.abs(second - first);
  const beat = ms >= SHORTEST_BEAT_MS && ms <= LONGEST_BEAT_MS;
  return { ms, bpm: beat ? 60_000 / ms : null, mv: Math.abs(upper - lower) };
}

/** The marker put to a place, kept on the strip. */
export function put(calipers: Calipers, marker: Marker, to: number, room: Room): Calipers {
  const kept = isMoment(marker) ? within(to, 0, room.ms) : within(to, -room.mv, room.mv);
  return { ...calipers, [marker]: kept };
}

/** All four kept on a strip that became shorter or lower. */
export function fit(calipers: Calipers, room: Room): Calipers {
  const { first, second, upper, lower } = calipers;
  return {
    first: within(first, 0, room.ms),
    second: within(second, 0, room.ms),
    upper: within(upper, -room.mv, room.mv),
    lower: within(lower, -room.mv, room.mv),
  };
}

/** Where they begin: on the last two beats in view, or on the middle third; half a millivolt high. */
export function begin(room: Room, beatsMs: readonly number[]): Calipers {
  const seen = beatsMs.filter((ms) => ms >= 0 && ms <= room.ms);
  const [first, second] = seen.slice(-2);
  const moments =
    first !== undefined && second !== undefined
      ? { first, second }
      : { first: room.ms / 3, second: (room.ms * 2) / 3 };
  return { ...moments, upper: Math.min(0.5, room.mv), lower: 0 };
}

/**
 * The paper runs at another speed and its left edge is `byMs` earlier: the moments stay on their
 * waves. Where neither is in view any more they begin anew.
 */
export function shift(
  calipers: Calipers,
  byMs: number,
  room: Room,
  beatsMs: readonly number[],
): Calipers {
  const moved = { first: calipers.first + byMs, second: calipers.second + byMs };
  const seen = [moved.first, moved.second].some((ms) => ms >= 0 && ms <= room.ms);
  const { first, second } = seen ? moved : begin(room, beatsMs);
  return { ...calipers, first, second };
}

/** How far a key moves a marker (ms or mV); null for a key that moves nothing. */
export function keyStep(marker: Marker, key: string, shift: boolean, gain: Gain): number | null {
  const times = shift ? LARGE : 1;
  if (isMoment(marker)) {
    if (key === 'ArrowLeft' || key === 'ArrowDown') return -STEP_MS * times;
    if (key === 'ArrowRight' || key === 'ArrowUp') return STEP_MS * times;
    return null;
  }
  if (key === 'ArrowDown' || key === 'ArrowLeft') return -stepMv(gain) * times;
  if (key === 'ArrowUp' || key === 'ArrowRight') return stepMv(gain) * times;
  return null;
}

/** The marker a finger means at (x, y), the lines of all four being at these places (CSS px). */
export function nearest(x: number, y: number, at: Record<Marker, number>): Marker {
  const far: [Marker, number][] = [
    ['first', Math.abs(x - at.first)],
    ['second', Math.abs(x - at.second)],
    ['upper', Math.abs(y - at.upper)],
    ['lower', Math.abs(y - at.lower)],
  ];
  const moments = far.slice(0, 2).sort((a, b) => a[1] - b[1]);
  const closest = [...far].sort((a, b) => a[1] - b[1])[0] as [Marker, number];
  // Far from every line a moment is meant: intervals are what calipers are mostly for.
  if (closest[1] > REACH_PX) return (moments[0] as [Marker, number])[0];
  return closest[0];
}
