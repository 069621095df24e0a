// @vitest-environment node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as pressure from '../../src/devices/gatt/blood-pressure';
import * as cgm from '../../src/devices/gatt/cgm';
import { float, sfloat } from '../../src/devices/gatt/floats';
import * as glucose from '../../src/devices/gatt/glucose';
import * as belt from '../../src/devices/gatt/heart-rate';
import { findModel, MODELS } from '../../src/devices/gatt/models';
import * as oximeter from '../../src/devices/gatt/oximeter';
import { BadPayload, deviceTime, type Quirks } from '../../src/devices/gatt/payload';
import * as thermometer from '../../src/devices/gatt/thermometer';
import { measurements } from '../../src/devices/gatt/to-measurement';
import * as scale from '../../src/devices/gatt/weight';
import { east, here } from '../../src/devices/moment';
import { decodeReply } from '../../src/devices/racp';
import { bytes, codeOf, rows } from './vectors';

const DECODERS: Record<string, (data: Uint8Array, quirks?: Quirks) => unknown> = {
  '2A35': pressure.decode,
  '2A18': glucose.decode,
  '2A34': glucose.decodeContext,
  '2AA7': cgm.decode,
  '2AAA': cgm.decodeSessionStart,
  '2A37': belt.decode,
  '2A1C': thermometer.decode,
  '2A5E': oximeter.decodeSpot,
  '2A5F': oximeter.decodeContinuous,
  '2A9D': scale.decode,
};
/** First units, and words for "not known", which a vector does not name. */
const DEFAULTS: Record<string, Record<string, unknown>> = {
  '2A35': { unit: 'mmHg' },
  '2A18': { unit: 'kg/L' },
  '2A34': { medication_unit: 'kg' },
  '2AAA': { zone_quarters: -128, dst_quarters: 255 },
  '2A1C': { unit: 'Cel' },
  '2A9D': { unit: 'kg' },
};

/** The decoded value as a vector writes it: without what has its default. */
function named(found: unknown, defaults: Record<string, unknown> = {}): unknown {
  if (Array.isArray(found)) return found.map((each) => named(each, defaults));
  return Object.fromEntries(
    Object.entries(found as Record<string, unknown>).filter(
      ([name, value]) => value !== (defaults[name] ?? null) && value !== 0 && value !== false,
    ),
  );
}

/** The vector's own zeros and nulls are defaults too. */
const expected = named;

const FILES = [
  'blood_pressure',
  'glucose',
  'cgm',
  'heart_rate',
  'oximeter',
  'thermometer',
  'weight',
];

describe('a known payload says what its source says', () => {
  for (const row of FILES.flatMap(rows)) {
    it(`${row.characteristic} ${row.name}`, () => {
      const decode = DECODERS[row.characteristic];
      if (decode === undefined) throw new Error(`no decoder for ${row.characteristic}`);
      const quirks = Object.fromEntries((row.quirks ?? []).map((name) => [name, true])) as Quirks;
      const read = () => decode(bytes(row.hex), quirks);
      if (row.refused !== undefined) {
        expect(codeOf(read)).toBe(row.refused);
        return;
      }
      const found = read();
      const defaults = DEFAULTS[row.characteristic] ?? {};
      expect(named(found, defaults)).toEqual(expected(row.expect, defaults));
      if (row.flags !== undefined) {
        const { status } = found as pressure.BloodPressure;
        expect(pressure.flagsOf(status ?? 0)).toEqual(row.flags);
      }
      if (row.taken_at !== undefined) {
        expect(glucose.takenAt(found as glucose.Glucose)).toBe(row.taken_at);
      }
    });
  }
});

describe('numbers and times', () => {
  it.each(rows('floats'))('$type $hex', ({ type, hex, value }) => {
    const raw = bytes(hex).reduceRight((sum, byte) => sum * 256 + byte, 0);
    expect(type === 'SFLOAT' ? sfloat(raw) : float(raw)).toBe(value);
  });

  it.each(rows('date_time'))('date and time $hex', ({ hex, value }) => {
    const [low = 0, high = 0, ...rest] = bytes(hex);
    expect(deviceTime([low + high * 256, ...rest], 0)).toEqual(value);
  });
});

it.each(rows('racp'))('the reply of a control point: $name', ({ hex, expect: reply, refused }) => {
  const read = () => decodeReply(bytes(hex));
  if (refused === undefined) expect(read()).toEqual(reply);
  else expect(codeOf(read)).toBe(refused);
});

describe('a payload gives the same readings here and in the gateway', () => {
  for (const row of rows('readings')) {
    it(`${row.characteristic} ${row.name}`, () => {
      const told = measurements({
        characteristic: parseInt(row.characteristic, 16),
        data: bytes(row.hex),
        model: findModel(row.model ?? ''),
        receivedAt: Date.parse('2026-03-10T12:00:00+03:00'),
        read: new Map(
          Object.entries(row.read ?? {}).map(([name, hex]) => [parseInt(name, 16), bytes(hex)]),
        ),
        user: row.user ?? null,
        zone: east(180),
      });
      const found = told.map((one) =>
        'reading' in one
          ? { ...one.reading, taken_at: one.reading.taken_at.replace('.000Z', 'Z') }
          : { refused: one.reason, ...(one.sequence === null ? {} : { sequence: one.sequence }) },
      );
      expect(found).toEqual(row.expect);
    });
  }
});

it('no bytes do anything but give readings or a reason', () => {
  // A small generator with a seed of its own: a failure comes again.
  let seed = 20_260_310;
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const known = [...FILES.flatMap(rows)].map(({ hex }) => bytes(hex));
  const codes = [0x2a35, 0x2a18, 0x2aa7, 0x2a37, 0x2a1c, 0x2a5e, 0x2a5f, 0x2a9d];
  const session = new Map([[0x2aaa, bytes('EA 07 03 0A 06 00 00 0C 00')]]);
  let given = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const data = Uint8Array.from(known[next(known.length)] ?? []);
    if (data.length > 0) data[next(data.length)] = next(256);
    const characteristic = codes[next(codes.length)] ?? 0;
    const model = MODELS[next(MODELS.length)] ?? findModel('');
    const cut = data.subarray(0, data.length - next(3));
    const told = measurements({
      characteristic,
      data: cut,
      model,
      receivedAt: 1.7e12,
      read: session,
    });
    for (const one of told) {
      if (!('reading' in one)) continue;
      given += 1;
      expect(Number.isSafeInteger(one.reading.sequence) && one.reading.sequence >= 0).toBe(true);
      expect(Date.parse(one.reading.taken_at)).toBeLessThanOrEqual(1.7e12);
    }
  }
  expect(given).toBeGreaterThan(1_000);
});

it('a refusal is BadPayload and says where', () => {
  expect(() => pressure.decode(bytes('00 78'))).toThrow(BadPayload);
  expect(() => pressure.decode(bytes('00 78'))).toThrow('too_short at 2');
});

it('models and their quirks are the rows of the gateway', () => {
  const table = readFileSync(join(import.meta.dirname, '../../../devices/gatt/models.py'), 'utf8');
  const own = [...table.matchAll(/names=\(([^)]*)\),\s*quirks=_tolerant\(([^)]*)\)/g)].map(
    ([, names = '', quirks = '']) => ({
      names: [...names.matchAll(/"([^"]+)"/g)].map(([, name]) => name),
      quirks: [...quirks.matchAll(/(\w+)=True/g)].map(([, name]) => name),
    }),
  );
  const tolerant = ['trailing_bytes', 'reserved_flags', 'special_any_exponent'];
  expect(
    MODELS.map(({ names, quirks }) => ({
      names,
      quirks: Object.keys(quirks).filter((name) => !tolerant.includes(name)),
    })),
  ).toEqual(own);
  expect(findModel('bm85 0012').name).toBe('BM 85');
});

it('a local time is the moment at which clocks here show it', () => {
  const at = new Date(2026, 2, 10, 7, 30);
  expect(here('2026-03-10T07:30:00')).toEqual({ at: at.getTime(), assumed: false });
});
