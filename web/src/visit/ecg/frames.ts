/**
 * ECG frames on the wire, little endian:
 *   magic "YEC1" | stream uuid (16 bytes) | u32 sequence | i64 start (unix µs of the first sample)
 *   | u16 n | n x i16 samples in ADC units
 */

/** A sample that was not measured (electrode off). */
export const MISSING = -32_768;
export const HEADER_BYTES = 34;
export const MAX_SAMPLES = 2_000;
const MAGIC = 0x31_43_45_59; // "YEC1" read as a little-endian u32

export interface EcgFrame {
  stream: string;
  sequence: number;
  /** Unix microseconds; exact, because 2^53 µs lasts until the year 2255. */
  startedAtUs: number;
  samples: Int16Array;
}

/** Bytes that are not an ECG frame, with the reason. */
export class MalformedFrame extends Error {}

function uuidText(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** One frame from exactly its bytes; throws MalformedFrame. */
export function decodeFrame(bytes: Uint8Array): EcgFrame {
  if (bytes.byteLength < HEADER_BYTES) throw new MalformedFrame('shorter than its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new MalformedFrame('no ECG frame');
  const n = view.getUint16(32, true);
  if (n === 0 || n > MAX_SAMPLES) throw new MalformedFrame(`${n} samples`);
  if (bytes.byteLength !== HEADER_BYTES + 2 * n)
    throw new MalformedFrame('length and count differ');
  const samples = new Int16Array(n);
  for (let i = 0; i < n; i += 1) samples[i] = view.getInt16(HEADER_BYTES + 2 * i, true);
  return {
    stream: uuidText(bytes.subarray(4, 20)),
    sequence: view.getUint32(20, true),
    startedAtUs: Number(view.getBigInt64(24, true)),
    samples,
  };
}

/** The stored frames of a stream: each prefixed by its length as u32; throws MalformedFrame. */
export function decodeFrames(bytes: Uint8Array): EcgFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: EcgFrame[] = [];
  let at = 0;
  while (at < bytes.byteLength) {
    if (at + 4 > bytes.byteLength) throw new MalformedFrame('cut off in a length');
    const length = view.getUint32(at, true);
    at += 4;
    if (at + length > bytes.byteLength) throw new MalformedFrame('cut off in a frame');
    frames.push(decodeFrame(bytes.subarray(at, at + length)));
    at += length;
  }
  return frames;
}
