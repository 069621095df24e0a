/** Heart Rate Measurement 0x2A37; the layout stands in devices/gatt/heart_rate.py. */

import { BadPayload, Reader, STRICT, type Quirks } from './payload';

const [WIDE, ENERGY, RR] = [1, 8, 16] as const;
export const NO_CONTACT = 2;

export interface HeartRate {
  rate_bpm: number;
  contact: number;
  energy_kj: number | null;
  /** Intervals between beats in 1/1024 s. */
  rr: number[] | null;
  wide: boolean;
}

export function decode(data: Uint8Array, quirks: Quirks = STRICT): HeartRate {
  const reader = new Reader(data, quirks);
  const flags = reader.flags(0x1f);
  const wide = (flags & WIDE) !== 0;
  const rate_bpm = wide ? reader.u16() : reader.u8();
  const energy_kj = flags & ENERGY ? reader.u16() : null;
  let rr: number[] | null = null;
  if (flags & RR) {
    // Belts that felt no beat set the flag all the same; the standard wants one interval.
    if ((reader.left % 2 !== 0 || reader.left === 0) && !quirks.trailing_bytes) {
      throw new BadPayload('too_short', data.length);
    }
    rr = [];
    while (reader.left >= 2) rr.push(reader.u16());
  } else {
    reader.end();
  }
  return { rate_bpm, contact: (flags >> 1) & 3, energy_kj, rr, wide };
}
