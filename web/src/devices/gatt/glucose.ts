/** Glucose 0x2A18 and its context 0x2A34; the layouts stand in devices/gatt/glucose.py. */

import type { Numeric } from './floats';
import { Reader, STRICT, type DeviceTime, type Quirks } from './payload';

export const INTERSTITIAL = 9;
const CONTROL_SOLUTION = 10;
const CONTROL_PLACE = 4;
const OVERRUN = 0x7fff;
const UNDERRUN = -0x8000;
const [OFFSET, CONCENTRATION, MOL_L, STATUS, CONTEXT] = [1, 2, 4, 8, 16] as const;

export interface Glucose {
  sequence: number;
  base_time: DeviceTime;
  offset_min: number | null;
  concentration: Numeric | null;
  unit: 'kg/L' | 'mol/L';
  sample: number | null;
  place: number | null;
  status: number | null;
  context_follows: boolean;
}

export function decode(data: Uint8Array, quirks: Quirks = STRICT): Glucose {
  const reader = new Reader(data, quirks);
  const flags = reader.flags(0x1f);
  const record: Glucose = {
    sequence: reader.u16(),
    base_time: reader.time(),
    offset_min: flags & OFFSET ? reader.i16() : null,
    concentration: null,
    unit: flags & MOL_L ? 'mol/L' : 'kg/L',
    sample: null,
    place: null,
    status: null,
    context_follows: (flags & CONTEXT) !== 0,
  };
  if (flags & CONCENTRATION) {
    record.concentration = reader.sfloat();
    const both = reader.u8();
    record.sample = both & 0xf;
    record.place = both >> 4;
  }
  if (flags & STATUS) record.status = reader.u16();
  reader.end();
  return record;
}

/** Control solution: never a patient's reading. */
export const isControl = ({ sample, place }: Glucose): boolean =>
  sample === CONTROL_SOLUTION || place === CONTROL_PLACE;

/** Time by the user's clock: base time plus offset; null when either is not known. */
export function takenAt({ base_time: base, offset_min: offset }: Glucose): string | null {
  if (typeof base !== 'string' || offset === OVERRUN || offset === UNDERRUN) return null;
  return later(base, offset ?? 0);
}

/** A local time some minutes later; null beyond the calendar. */
export function later(local: string, minutes: number): string | null {
  const at = new Date(Date.parse(`${local}Z`) + minutes * 60_000);
  const year = at.getUTCFullYear();
  return year >= 1 && year <= 9999 ? at.toISOString().slice(0, 19) : null;
}

export interface GlucoseContext {
  sequence: number;
  extended: number | null;
  carbohydrate: number | null;
  carbohydrate_kg: Numeric | null;
  meal: number | null;
  tester: number | null;
  health: number | null;
  exercise_s: number | null;
  exercise_percent: number | null;
  medication: number | null;
  medication_amount: Numeric | null;
  medication_unit: 'kg' | 'L';
  hba1c_percent: Numeric | null;
}

export function decodeContext(data: Uint8Array, quirks: Quirks = STRICT): GlucoseContext {
  const reader = new Reader(data, quirks);
  const flags = reader.flags(0xff);
  const has = (bit: number): boolean => (flags & (1 << bit)) !== 0;
  const sequence = reader.u16();
  const extended = has(7) ? reader.u8() : null;
  const carbohydrate = has(0) ? reader.u8() : null;
  const carbohydrate_kg = has(0) ? reader.sfloat() : null;
  const meal = has(1) ? reader.u8() : null;
  const both = has(2) ? reader.u8() : null;
  const exercise_s = has(3) ? reader.u16() : null;
  const exercise_percent = has(3) ? reader.u8() : null;
  const medication = has(4) ? reader.u8() : null;
  const medication_amount = has(4) ? reader.sfloat() : null;
  const hba1c_percent = has(6) ? reader.sfloat() : null;
  reader.end();
  return {
    sequence,
    extended,
    carbohydrate,
    carbohydrate_kg,
    meal,
    tester: both === null ? null : both & 0xf,
    health: both === null ? null : both >> 4,
    exercise_s,
    exercise_percent,
    medication,
    medication_amount,
    medication_unit: has(5) ? 'L' : 'kg',
    hba1c_percent,
  };
}
