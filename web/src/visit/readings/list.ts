/** Readings of a visit: newest first by when they were taken, each once, in whatever order they come. */

import type { Reading } from '../wire';

function newestFirst(a: Reading, b: Reading): number {
  const byTime = Date.parse(b.taken_at) - Date.parse(a.taken_at);
  if (byTime !== 0) return byTime;
  if (a.sequence !== b.sequence) return b.sequence - a.sequence;
  return a.id < b.id ? 1 : -1;
}

/** The list with more readings in it; the same list when all were there already. */
export function merge(list: readonly Reading[], more: readonly Reading[]): readonly Reading[] {
  const known = new Set(list.map(({ id }) => id));
  const fresh: Reading[] = [];
  for (const reading of more) {
    if (known.has(reading.id)) continue;
    known.add(reading.id);
    fresh.push(reading);
  }
  return fresh.length === 0 ? list : [...list, ...fresh].sort(newestFirst);
}
