/**
 * From the shelf to the server, as devices/reading_sender.py sends: only an answer that names the
 * very readings stores them, and the bad one of a batch is sought by halves.
 */

import type { DeviceReading } from './gatt/to-measurement';
import { MOST_WAITING, type Entry, type Shelf } from './shelf';

const BATCH = 200;
/** A reading the server gets so long after it was taken carries the mark. */
const LATE_MS = 15 * 60_000;
const TRY_LATER: readonly number[] = [408, 425, 429];
/** The token is wrong or revoked: no repetition will change that. */
const FATAL: readonly number[] = [401, 403, 404];

/** What came back; `left` is false when the request cannot have gone out. */
export type Answer =
  | { is: 'silent'; left: boolean }
  | { is: 'answered'; status: number; body: unknown; retryAfterS: number | null };

export type Post = (token: string, readings: readonly DeviceReading[]) => Promise<Answer>;

/** How a round ended: nothing waits; try later; the server does not take this device. */
export type Flushed =
  { is: 'done' } | { is: 'away'; retryAfterS: number | null } | { is: 'turned_away'; code: string };

function marked({ reading, waited }: Entry, now: number): DeviceReading[] {
  if (reading === null) return [];
  const late = waited || now - Date.parse(reading.taken_at) > LATE_MS;
  if (!late || reading.flags.includes('late')) return [reading];
  return [{ ...reading, flags: [...reading.flags, 'late'].sort() }];
}

const names = (body: unknown, readings: readonly DeviceReading[]): boolean => {
  const results = (body as { results?: unknown } | null)?.results;
  if (!Array.isArray(results) || results.length !== readings.length) return false;
  return results.every(
    (result: unknown, index) =>
      (result as { sequence?: unknown } | null)?.sequence === readings[index]?.sequence,
  );
};

const codeOf = (body: unknown): string | null => {
  const code = (body as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
};

/** The most telling code of a problem: the first field's, else its own. */
function wordOf(body: unknown): string {
  const errors = (body as { errors?: { code?: unknown }[] } | null)?.errors;
  const first = Array.isArray(errors) ? errors[0]?.code : undefined;
  return (typeof first === 'string' ? first : (codeOf(body) ?? '')).slice(0, 64);
}

export interface Plan {
  shelf: Shelf;
  device: string;
  token: string;
  post: Post;
  now: () => number;
  /** Something changed on the shelf. */
  changed: () => void;
}

/** Sends until nothing waits or the line is away; whoever calls again waits in between. */
export async function flush({ shelf, device, token, post, now, changed }: Plan): Promise<Flushed> {
  let suspects = 0; // so many of the first were refused together
  const mark = async (entries: readonly Entry[], change: Partial<Entry>): Promise<void> => {
    const sequences = entries.map(({ sequence }) => sequence);
    await shelf.mark(device, sequences, change);
    changed();
  };
  const away = async (batch: readonly Entry[], unsent: boolean): Promise<void> => {
    if (unsent) await mark(batch, { state: 'here' });
    // What came meanwhile waits for the line too.
    const all = await shelf.waiting(device, MOST_WAITING);
    await mark(
      all.filter(({ waited }) => !waited),
      { waited: true },
    );
  };
  for (;;) {
    const size = suspects > 0 ? Math.max(1, suspects >> 1) : BATCH;
    const batch = await shelf.waiting(device, size);
    if (batch.length === 0) return { is: 'done' };
    const readings = batch.flatMap((entry) => marked(entry, now()));
    await mark(batch, { state: 'sent' });
    const answer = await post(token, readings);
    if (answer.is === 'silent') {
      await away(batch, !answer.left);
      return { is: 'away', retryAfterS: null };
    }
    const { status, body, retryAfterS } = answer;
    if (status >= 200 && status < 300 && names(body, readings)) {
      await mark(batch, { state: 'stored', reading: null });
      suspects = Math.max(0, suspects - batch.length);
      continue;
    }
    const code = status >= 400 && status < 500 ? codeOf(body) : null;
    if (code === null || TRY_LATER.includes(status)) {
      // A server that failed may have stored them all the same.
      await away(batch, status < 500);
      return { is: 'away', retryAfterS };
    }
    if (FATAL.includes(status)) {
      await mark(batch, { state: 'here' });
      return { is: 'turned_away', code };
    }
    if (batch.length === 1) {
      await mark(batch, { state: 'refused', problem: wordOf(body) });
      suspects = Math.max(0, suspects - 1);
    } else {
      await mark(batch, { state: 'here' }); // Nothing of it was stored.
      suspects = batch.length;
    }
  }
}
