/**
 * SFLOAT and FLOAT of IEEE 11073-20601, as devices/gatt/floats.py reads them: a decimal mantissa
 * times a power of ten, both two's complement. Five mantissas beside exponent 0 are words: a cuff
 * that could not measure sends 0x07FF, which is no 2047 mmHg.
 */

export type Special =
  'not_a_number' | 'not_at_this_resolution' | 'above_scale' | 'below_scale' | 'reserved';
export type Numeric = number | Special;

export const isSpecial = (value: Numeric): value is Special => typeof value === 'string';

const SHORT: Readonly<Record<number, Special>> = {
  0x7ff: 'not_a_number',
  0x800: 'not_at_this_resolution',
  0x7fe: 'above_scale',
  0x802: 'below_scale',
  0x801: 'reserved',
};
const LONG: Readonly<Record<number, Special>> = {
  0x7fffff: 'not_a_number',
  0x800000: 'not_at_this_resolution',
  0x7ffffe: 'above_scale',
  0x800002: 'below_scale',
  0x800001: 'reserved',
};

/** The same bits of a device that sends IEEE 754 where a decimal number is due. */
export function ofIeee(value: number): Numeric {
  if (Number.isNaN(value)) return 'not_a_number';
  if (value === Infinity) return 'above_scale';
  return value === -Infinity ? 'below_scale' : value;
}

function ofHalf(raw: number): Numeric {
  const sign = raw & 0x8000 ? -1 : 1;
  const exponent = (raw >> 10) & 0x1f;
  const fraction = raw & 0x3ff;
  if (exponent === 0x1f) return ofIeee(fraction === 0 ? sign * Infinity : NaN);
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The number or word in sixteen bits. */
export function sfloat(
  raw: number,
  how: { ieee_floats?: boolean; special_any_exponent?: boolean } = {},
): Numeric {
  if (how.ieee_floats) return ofHalf(raw);
  const mantissa = ((raw & 0xfff) << 20) >> 20;
  const exponent = (raw << 16) >> 28;
  const special = SHORT[raw & 0xfff];
  if (special !== undefined && (exponent === 0 || how.special_any_exponent)) return special;
  // Both are correctly rounded: 364 / 10 is 36.4, where 364 * 0.1 is not.
  return exponent < 0 ? mantissa / 10 ** -exponent : mantissa * 10 ** exponent;
}

/** The number or word in thirty-two bits. */
export function float(
  raw: number,
  how: { ieee_floats?: boolean; special_any_exponent?: boolean } = {},
): Numeric {
  if (how.ieee_floats) {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, raw);
    return ofIeee(view.getFloat32(0));
  }
  const low = raw & 0xffffff;
  const exponent = raw >> 24;
  const special = LONG[low];
  if (special !== undefined && (exponent === 0 || how.special_any_exponent)) return special;
  return Number(`${(low << 8) >> 8}e${exponent}`);
}
