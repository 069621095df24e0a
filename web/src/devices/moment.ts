/**
 * When a reading was taken, as devices/clock.py tells it of a device whose clock nobody has looked
 * at: local time in the zone of this computer, never after it came.
 */

const TOLERANCE_MS = 60_000;
/** A home device on the market counts from its maker's date; what is earlier was never set. */
const UNSET_BEFORE = Date.UTC(2020, 0, 1);

/** The moment at which clocks of a zone show a local time; `assumed`: they show it twice or never. */
export type Zone = (local: string) => { at: number; assumed: boolean };

const shown = (at: number): number => at - new Date(at).getTimezoneOffset() * 60_000;

/** The zone of this computer. */
export const here: Zone = (local) => {
  const wall = Date.parse(`${local}Z`);
  // A place changes its offset once in a day at most.
  const near = [wall - 86_400_000, wall + 86_400_000];
  const found = [...new Set(near.map((at) => wall - (shown(at) - at)))];
  const fits = found.filter((at) => shown(at) === wall);
  const assumed = found.length > 1 && fits.length !== 1;
  return { at: (assumed ? found[0] : fits[0]) ?? wall, assumed };
};

/** A zone a device told itself. */
export const east =
  (minutes: number): Zone =>
  (local) => ({ at: Date.parse(`${local}Z`) - minutes * 60_000, assumed: false });

export interface Moment {
  takenAt: number;
  flags: string[];
}

/** `local`: as the device dates it; null: it has no date. */
export function moment(local: string | null, receivedAt: number, zone: Zone): Moment {
  const arrival: Moment = { takenAt: receivedAt, flags: ['time_of_arrival'] };
  if (local === null) return arrival;
  const { at, assumed } = zone(local);
  if (Number.isNaN(at) || at < UNSET_BEFORE) return arrival;
  const flags = assumed ? ['zone_assumed'] : [];
  if (at - receivedAt > TOLERANCE_MS) flags.push('clock_repaired');
  return { takenAt: Math.min(at, receivedAt), flags };
}
