/** What all payloads share: the refusal, the quirks of a model, a reader of groups, date and time. */

import { sfloat, type Numeric } from './floats';

export type BadCode =
  | 'too_short'
  | 'too_long'
  | 'reserved_flag'
  | 'time_invalid'
  | 'size'
  | 'checksum'
  | 'opcode'
  | 'length';

/** Bytes that are no such payload: one short code, and the offset of what is wrong. */
export class BadPayload extends Error {
  readonly code: BadCode;
  readonly offset: number;

  constructor(code: BadCode, offset: number) {
    super(`${code} at ${offset}`);
    this.code = code;
    this.offset = offset;
  }
}

/** How a model departs from the standard; devices/gatt/payload.py says what each name means. */
export interface Quirks {
  readonly trailing_bytes?: boolean;
  readonly reserved_flags?: boolean;
  readonly special_any_exponent?: boolean;
  readonly ieee_floats?: boolean;
  readonly swapped_pulse_status?: boolean;
  readonly user_without_flag?: boolean;
  readonly utc_clock?: boolean;
}

export const STRICT: Quirks = {};
export const TOLERANT: Quirks = {
  trailing_bytes: true,
  reserved_flags: true,
  special_any_exponent: true,
};

const FIRST_YEAR = 1582;

/** A date and time of which the device knows a part: 0 is unknown, but never in the clock. */
export interface PartialTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** The user's local time as the device shows it, without a zone: `2026-02-01T07:30:00`. */
export type DeviceTime = string | PartialTime;

const two = (n: number): string => String(n).padStart(2, '0');

const daysIn = (year: number, month: number): number => {
  if (month < 1 || month > 12) return 31;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
};

/** Date and time of the six numbers; midnight is a time, a date part of 0 is unknown. */
export function deviceTime(parts: readonly number[], offset: number): DeviceTime {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const right =
    (year === 0 || (year >= FIRST_YEAR && year <= 9999)) &&
    month <= 12 &&
    // Of a year not known 29 February may be right, as of the year 2000.
    day <= daysIn(year === 0 ? 2000 : year, month) &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  if (!right) throw new BadPayload('time_invalid', offset);
  if (year === 0 || month === 0 || day === 0) return { year, month, day, hour, minute, second };
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  return `${date}T${two(hour)}:${two(minute)}:${two(second)}`;
}

/** The flags that have a meaning; BadPayload for others, as far as the quirks do not allow. */
export function knownFlags(flags: number, known: number, quirks: Quirks, offset: number): number {
  const others = flags & ~known;
  // Several at once are another format under this number.
  if (others !== 0 && (!quirks.reserved_flags || (others & (others - 1)) !== 0)) {
    throw new BadPayload('reserved_flag', offset);
  }
  return flags & known;
}

/** Reads a payload from front to end; BadPayload where it is too short. */
export class Reader {
  readonly #view: DataView;
  readonly #quirks: Quirks;
  #badTime: BadPayload | null = null;
  at = 0;

  constructor(data: Uint8Array, quirks: Quirks) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#quirks = quirks;
  }

  get left(): number {
    return this.#view.byteLength - this.at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }

  u24(): number {
    return this.u16() + this.u8() * 0x10000;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  sfloat(): Numeric {
    return sfloat(this.u16(), this.#quirks);
  }

  flags(known: number): number {
    return knownFlags(this.u8(), known, this.#quirks, this.at - 1);
  }

  time(): DeviceTime {
    const offset = this.at;
    const year = this.u16();
    const parts = [year, this.u8(), this.u8(), this.u8(), this.u8(), this.u8()];
    try {
      return deviceTime(parts, offset);
    } catch (bad) {
      // A payload of the wrong length is told as that first.
      this.#badTime ??= bad as BadPayload;
      return '';
    }
  }

  /** The payload ends here, unless the model's quirk says that more may follow. */
  end(): void {
    if (this.left > 0 && !this.#quirks.trailing_bytes) throw new BadPayload('too_long', this.at);
    this.settle();
  }

  /** No time in what was read is none. */
  settle(): void {
    if (this.#badTime !== null) throw this.#badTime;
  }

  #take(size: number): number {
    if (this.left < size) throw new BadPayload('too_short', this.#view.byteLength);
    const at = this.at;
    this.at += size;
    return at;
  }
}
