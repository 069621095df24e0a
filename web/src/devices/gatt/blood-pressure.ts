/** Blood Pressure Measurement 0x2A35; the layout stands in devices/gatt/blood_pressure.py. */

import type { Numeric } from './floats';
import { sfloat } from './floats';
import { Reader, STRICT, type DeviceTime, type Quirks } from './payload';

const [KPA, TIME, PULSE, USER, STATUS] = [1, 2, 4, 8, 16] as const;
export const UNKNOWN_USER = 255;

export interface BloodPressure {
  systolic: Numeric;
  diastolic: Numeric;
  mean: Numeric;
  unit: 'mmHg' | 'kPa';
  taken_at: DeviceTime | null;
  pulse: Numeric | null;
  user: number | null;
  status: number | null;
}

const swapped = (raw: number): number => (raw >> 8) | ((raw & 0xff) << 8);

export function decode(data: Uint8Array, quirks: Quirks = STRICT): BloodPressure {
  const reader = new Reader(data, quirks);
  let flags = reader.flags(0x1f);
  // The quirk is for payloads whose flags do not explain their length.
  const explained = data[0] === flags && data.length === sizeOf(flags);
  if (quirks.user_without_flag && !explained) flags |= USER;
  const order = quirks.swapped_pulse_status ? swapped : (raw: number) => raw;
  const found: BloodPressure = {
    systolic: reader.sfloat(),
    diastolic: reader.sfloat(),
    mean: reader.sfloat(),
    unit: flags & KPA ? 'kPa' : 'mmHg',
    taken_at: flags & TIME ? reader.time() : null,
    pulse: flags & PULSE ? sfloat(order(reader.u16()), quirks) : null,
    user: flags & USER ? reader.u8() : null,
    status: flags & STATUS ? order(reader.u16()) : null,
  };
  reader.end();
  return found;
}

const sizeOf = (flags: number): number =>
  7 +
  (flags & TIME ? 7 : 0) +
  (flags & PULSE ? 2 : 0) +
  (flags & USER ? 1 : 0) +
  (flags & STATUS ? 2 : 0);

/** What the cuff says against its own reading. */
export function flagsOf(status: number): string[] {
  const range = (status >> 3) & 3;
  const said: [string, boolean][] = [
    ['movement', (status & 1) !== 0],
    ['cuff_loose', (status & 2) !== 0],
    ['irregular_pulse', (status & 4) !== 0],
    ['pulse_out_of_range', range === 1 || range === 2],
    ['position', (status & 32) !== 0],
  ];
  return said.filter(([, there]) => there).map(([flag]) => flag);
}
