/** Weight Measurement 0x2A9D; the layout stands in devices/gatt/weight.py. */

import { Reader, STRICT, type DeviceTime, type Quirks } from './payload';

const NOT_MEASURED = 0xffff;

export interface Weight {
  weight: number | null;
  unit: 'kg' | '[lb_av]';
  taken_at: DeviceTime | null;
  user: number | null;
  bmi: number | null;
  height: number | null;
}

export function decode(data: Uint8Array, quirks: Quirks = STRICT): Weight {
  const reader = new Reader(data, quirks);
  const flags = reader.flags(0x0f);
  const imperial = (flags & 1) !== 0;
  const raw = reader.u16();
  const taken_at = flags & 2 ? reader.time() : null;
  const user = flags & 4 ? reader.u8() : null;
  const bmi = flags & 8 ? reader.u16() / 10 : null;
  // Divided, not multiplied: 13000 / 200 is 65, and every step is rounded once only.
  const height = flags & 8 ? reader.u16() / (imperial ? 10 : 1000) : null;
  reader.end();
  return {
    weight: raw === NOT_MEASURED ? null : raw / (imperial ? 100 : 200),
    unit: imperial ? '[lb_av]' : 'kg',
    taken_at,
    user,
    bmi,
    height,
  };
}
