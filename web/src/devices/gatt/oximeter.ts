/** Pulse oximeter: spot check 0x2A5E and continuous 0x2A5F; layouts: devices/gatt/oximeter.py. */

import type { Numeric } from './floats';
import { Reader, STRICT, type DeviceTime, type Quirks } from './payload';

export interface Pair {
  spo2_percent: Numeric;
  rate_bpm: Numeric;
}

interface Tail {
  status: number | null;
  sensor: number | null;
  amplitude_percent: Numeric | null;
}

export interface SpotCheck extends Pair, Tail {
  taken_at: DeviceTime | null;
  clock_unset: boolean;
}

export interface Continuous extends Pair, Tail {
  fast: Pair | null;
  slow: Pair | null;
}

const pair = (reader: Reader): Pair => ({
  spo2_percent: reader.sfloat(),
  rate_bpm: reader.sfloat(),
});

function tail(reader: Reader, flags: number): Tail {
  const found = {
    status: flags & 2 ? reader.u16() : null,
    sensor: flags & 4 ? reader.u24() : null,
    amplitude_percent: flags & 8 ? reader.sfloat() : null,
  };
  reader.end();
  return found;
}

export function decodeSpot(data: Uint8Array, quirks: Quirks = STRICT): SpotCheck {
  const reader = new Reader(data, quirks);
  const flags = reader.flags(0x1f);
  return {
    ...pair(reader),
    taken_at: flags & 1 ? reader.time() : null,
    ...tail(reader, flags),
    clock_unset: (flags & 16) !== 0,
  };
}

export function decodeContinuous(data: Uint8Array, quirks: Quirks = STRICT): Continuous {
  const reader = new Reader(data, quirks);
  const flags = reader.flags(0x1f);
  return {
    ...pair(reader),
    fast: flags & 1 ? pair(reader) : null,
    slow: flags & 2 ? pair(reader) : null,
    ...tail(reader, flags >> 1),
  };
}
