/** What the patient can do about the signal: one thing at a time, and for long enough to read. */

export type Coaching = 'reseat' | 'still' | 'mains';

const COACHING: Readonly<Record<string, Coaching>> = {
  electrode_off: 'reseat',
  flat_line: 'reseat',
  saturation: 'reseat',
  muscle: 'still',
  movement: 'still',
  drift: 'still',
  mains: 'mains',
};

/** Another sentence waits for so long, unless it is the electrode: without it there is no signal. */
const READ_MS = 1_000;
/** A sentence stays so long after its cause is gone: a signal that comes and goes must not flicker. */
const STAYS_MS = 2_000;

export interface Shown {
  coaching: Coaching | null;
  /** When it appeared, and when its cause was last there (ms). */
  since: number;
  seen: number;
}

export const NOTHING: Shown = { coaching: null, since: 0, seen: 0 };

export const coachingOf = (reason: string | null): Coaching | null =>
  reason === null ? null : (COACHING[reason] ?? null);

/** What to show next, the signal having `reason` now. */
export function next(shown: Shown, reason: string | null, now: number): Shown {
  const wanted = coachingOf(reason);
  if (wanted === shown.coaching) return wanted === null ? shown : { ...shown, seen: now };
  if (wanted === null) return now - shown.seen < STAYS_MS ? shown : NOTHING;
  const readable = shown.coaching === null || now - shown.since >= READ_MS;
  if (!readable && wanted !== 'reseat') return shown;
  return { coaching: wanted, since: now, seen: now };
}
