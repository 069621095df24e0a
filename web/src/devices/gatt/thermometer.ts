/** Temperature Measurement 0x2A1C; the layout stands in devices/gatt/thermometer.py. */

import { float, type Numeric } from './floats';
import { Reader, STRICT, type DeviceTime, type Quirks } from './payload';

export interface Temperature {
  temperature: Numeric;
  unit: 'Cel' | '[degF]';
  taken_at: DeviceTime | null;
  place: number | null;
}

export function decode(data: Uint8Array, quirks: Quirks = STRICT): Temperature {
  const reader = new Reader(data, quirks);
  const flags = reader.flags(0x07);
  const found: Temperature = {
    temperature: float(reader.u32(), quirks),
    unit: flags & 1 ? '[degF]' : 'Cel',
    taken_at: flags & 2 ? reader.time() : null,
    place: flags & 4 ? reader.u8() : null,
  };
  reader.end();
  return found;
}
