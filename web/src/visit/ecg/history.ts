/** Stored frames joined with live ones: after a load or a lost link, fetch what the page has not got. */

import type { EcgFrame } from './frames';
import type { Ranges } from './ranges';

/** Stored frames after a sequence number, in order, at most `limit`. */
export type FetchFrames = (stream: string, after: number, limit: number) => Promise<EcgFrame[]>;

export const PAGE_FRAMES = 600;
/** Two hours of 200 ms frames: a hole that is stored must not look like a gap when leafed to. */
export const KEPT_FRAMES = 36_000;

export interface Catching {
  stream: string;
  /** Newest sequence known to be stored when the link opened. */
  lastStored: number;
  /** What is here already. */
  have: Pick<Ranges, 'has' | 'all'>;
  add: (frame: EcgFrame) => void;
  fetch: FetchFrames;
}

/**
 * Fetch what is stored and not here: the newest `PAGE_FRAMES` (two minutes of 200 ms frames), and
 * every hole behind the oldest frame here, however long the link was away, as far as two hours.
 * Live frames may come meanwhile: the buffer knows a double by its number.
 */
export async function catchUp({ stream, lastStored, have, add, fetch }: Catching): Promise<number> {
  const newest = lastStored - PAGE_FRAMES + 1;
  const firstHere = have.all[0]?.[0] ?? newest;
  let next = Math.max(0, lastStored - KEPT_FRAMES + 1, Math.min(newest, firstHere));
  let added = 0;
  while (next <= lastStored) {
    if (have.has(next)) {
      next += 1;
      continue;
    }
    // Only as many as are missing in a row: the frames after them are here.
    let missing = 1;
    while (missing < PAGE_FRAMES && next + missing <= lastStored && !have.has(next + missing)) {
      missing += 1;
    }
    const frames = await fetch(stream, next - 1, missing);
    const last = frames.at(-1);
    // Nothing further is stored: what is missing never came.
    if (last === undefined || last.sequence < next) break;
    for (const frame of frames) {
      add(frame);
      added += 1;
    }
    next = last.sequence + 1;
  }
  return added;
}
