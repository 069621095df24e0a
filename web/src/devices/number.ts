/** The number a record is stored under: the twin of `number` in devices/order.py. */

const SECONDS = 2 ** 32;
const LOW = 2 ** 21;
const NUMBERED = 2 ** 20;

/** CRC-32 of zip and PNG. */
function crc32(data: Uint8Array): number {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function told(values: Readonly<Record<string, number>>): Uint8Array {
  const parts = Object.entries(values)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      const part = new Uint8Array(name.length + 9);
      part.set(new TextEncoder().encode(name));
      new DataView(part.buffer).setFloat64(name.length + 1, value, true);
      return part;
    });
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * From the device's own clock (ms since 1970, its local time read as if it were UTC), and its
 * sequence number or the values: the same at every download, here and in the gateway.
 */
export function number(
  sequence: number | null,
  deviceMs: number | null,
  values: Readonly<Record<string, number>>,
): number {
  const seconds = deviceMs === null ? 0 : Math.trunc(deviceMs / 1000);
  const high = ((seconds % SECONDS) + SECONDS) % SECONDS;
  const low = sequence === null ? crc32(told(values)) % NUMBERED : NUMBERED + (sequence % 0x10000);
  return high * LOW + low;
}
