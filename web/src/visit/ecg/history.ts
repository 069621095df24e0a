/** Stored frames joined with live ones: after a load or a lost link, fetch what the page has not got. */

import type { EcgFrame } from './frames';

/** Stored frames after a sequence number, in order, at most `limit`. */
export type FetchFrames = (stream: string, after: number, limit: number) => Promise<EcgFrame[]>;

export const PAGE_FRAMES = 600;

export interface Catching {
  stream: string;
  /** Newest sequence known to be stored when the link opened. */
  lastStored: number;
  /** What is here already. */
  have: { has(n: number): boolean; last: number | null };
  add: (frame: EcgFrame) => void;
  fetch: FetchFrames;
}

/**
 * Fetch what is stored and not here, the newest `PAGE_FRAMES` at most (two minutes of 200 ms frames).
 * Live frames may come meanwhile: the buffer knows a double by its number.
 */
export async function catchUp({ stream, lastStored, have, add, fetch }: Catching): Promise<number> {
  const oldest = Math.max(0, lastStored - PAGE_FRAMES + 1);
  let next = oldest;
  let added = 0;
  while (next <= lastStored) {
    if (have.has(next)) {
      next += 1;
      continue;
    }
    // Only as many as are missing in a row: the frames after them are here.
    let missing = 1;
    while (next + missing <= lastStored && !have.has(next + missing)) missing += 1;
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
