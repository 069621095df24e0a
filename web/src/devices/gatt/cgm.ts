/** Continuous glucose 0x2AA7 and its session's start 0x2AAA; layouts: devices/gatt/cgm.py. */

import { sfloat, type Numeric } from './floats';
import { BadPayload, knownFlags, Reader, STRICT, type DeviceTime, type Quirks } from './payload';

const [TREND, QUALITY, WARNING, CALIBRATION, STATUS] = [1, 2, 32, 64, 128] as const;
const KNOWN = TREND | QUALITY | WARNING | CALIBRATION | STATUS;
const HEAD = 6;
const CRC = 2;
const UNKNOWN_ZONE = -128;
const UNKNOWN_DST = 255;

export interface CgmRecord {
  glucose_mg_dl: Numeric;
  offset_min: number;
  /** The three octets as one number; `octets` says which of them were sent. */
  status: number;
  octets: number;
  trend_mg_dl_min: Numeric | null;
  quality_percent: Numeric | null;
  checked: boolean;
}

/** CRC-16/MCRF4XX. */
export function crc16(data: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  }
  return crc;
}

const u16 = (data: Uint8Array, at: number): number => (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8);

/**
 * The records of one notification; BadPayload of the whole of it. `crc`: whether the sensor's
 * feature says that each carries one; null if nobody asked.
 */
export function decode(
  data: Uint8Array,
  quirks: Quirks = STRICT,
  crc: boolean | null = null,
): CgmRecord[] {
  if (data.length === 0) throw new BadPayload('too_short', 0);
  const found: CgmRecord[] = [];
  let at = 0;
  while (at < data.length) {
    const size = data[at] ?? 0;
    if (size < HEAD) throw new BadPayload('size', at);
    if (at + size > data.length) throw new BadPayload('too_short', data.length);
    const record = one(data.subarray(at, at + size), at, quirks);
    if (crc !== null && record.checked !== crc) throw new BadPayload('checksum', at);
    found.push(record);
    at += size;
  }
  return found;
}

function one(data: Uint8Array, at: number, quirks: Quirks): CgmRecord {
  const flags = knownFlags(data[1] ?? 0, KNOWN, quirks, at + 1);
  const groups: [number, number][] = [
    [STATUS, 0],
    [CALIBRATION, 8],
    [WARNING, 16],
  ];
  const sent = groups.filter(([bit]) => flags & bit);
  const numbers = (flags & TREND ? 1 : 0) + (flags & QUALITY ? 1 : 0);
  const plain = HEAD + sent.length + 2 * numbers;
  // Without the feature the size alone tells whether there is a CRC.
  const checked = data.length === plain + CRC;
  if (data.length !== plain && !checked) throw new BadPayload('size', at);
  if (checked && crc16(data.subarray(0, plain)) !== u16(data, plain)) {
    throw new BadPayload('checksum', at + plain);
  }
  let status = 0;
  let octets = 0;
  let place = HEAD;
  for (const [, shift] of sent) {
    status |= (data[place] ?? 0) << shift;
    octets |= 1 << (shift / 8);
    place += 1;
  }
  const number = (index: number): Numeric => sfloat(u16(data, place + 2 * index), quirks);
  return {
    glucose_mg_dl: sfloat(u16(data, 2), quirks),
    offset_min: u16(data, 4),
    status,
    octets,
    trend_mg_dl_min: flags & TREND ? number(0) : null,
    quality_percent: flags & QUALITY ? number(numbers - 1) : null,
    checked,
  };
}

/** Whether CGM Feature 0x2AA8 says that records carry a CRC. */
export function featureHasCrc(data: Uint8Array): boolean {
  if (data.length < 6) throw new BadPayload('too_short', data.length);
  return ((data[1] ?? 0) & 0x10) !== 0;
}

export interface SessionStart {
  local: DeviceTime;
  zone_quarters: number;
  dst_quarters: number;
  checked: boolean;
}

export function decodeSessionStart(data: Uint8Array, quirks: Quirks = STRICT): SessionStart {
  const plain = 9;
  if (data.length < plain) throw new BadPayload('too_short', data.length);
  const checked = data.length === plain + CRC;
  if (data.length > plain && !checked && !quirks.trailing_bytes) {
    throw new BadPayload('too_long', plain);
  }
  if (checked && crc16(data.subarray(0, plain)) !== u16(data, plain)) {
    throw new BadPayload('checksum', plain);
  }
  const reader = new Reader(data, quirks);
  const local = reader.time();
  const zone = reader.i8();
  const dst = reader.u8();
  if (zone !== UNKNOWN_ZONE && (zone < -48 || zone > 56)) throw new BadPayload('time_invalid', 7);
  if (![0, 2, 4, 8, UNKNOWN_DST].includes(dst)) throw new BadPayload('time_invalid', 8);
  reader.settle();
  return { local, zone_quarters: zone, dst_quarters: dst, checked };
}

/** Minutes east of Greenwich of the session, as far as the sensor knows. */
export function zoneMinutes({
  zone_quarters: zone,
  dst_quarters: dst,
}: SessionStart): number | null {
  if (zone === UNKNOWN_ZONE) return null;
  return 15 * (zone + (dst === UNKNOWN_DST ? 0 : dst));
}
