/**
 * From what a characteristic said to readings of the patient, or to a reason why it is none: the
 * twin of devices/gatt/to_measurement.py. No bytes throw, and nothing is dropped in silence.
 */

import type { Measurement } from '../../visit/readings/form';
import { east, here, moment, type Moment, type Zone } from '../moment';
import { number } from '../number';
import * as pressure from './blood-pressure';
import * as cgm from './cgm';
import { isSpecial, type Numeric, type Special } from './floats';
import * as glucose from './glucose';
import * as belt from './heart-rate';
import type { Model } from './models';
import * as oximeter from './oximeter';
import { BadPayload, type DeviceTime } from './payload';
import * as thermometer from './thermometer';
import * as scale from './weight';

export const PRESSURE = 0x2a35;
export const GLUCOSE = 0x2a18;
export const GLUCOSE_CONTEXT = 0x2a34;
export const CGM = 0x2aa7;
export const CGM_FEATURE = 0x2aa8;
export const CGM_SESSION_START = 0x2aaa;
export const HEART_RATE = 0x2a37;
export const TEMPERATURE = 0x2a1c;
export const SPOT_CHECK = 0x2a5e;
export const CONTINUOUS = 0x2a5f;
export const WEIGHT = 0x2a9d;
const INTERIM: readonly number[] = [0x2a36, 0x2a1e];

export interface DeviceReading extends Measurement {
  flags: string[];
}

export interface Given {
  reading: DeviceReading;
  /** Whose it is, to a device that knows its users. */
  user: number | null;
}

/** A message that gives no reading, and why. */
export interface Refused {
  reason: string;
  sequence: number | null;
}

export type Outcome = Given | Refused;

export interface Message {
  characteristic: number;
  data: Uint8Array;
  model: Model;
  receivedAt: number;
  /** Raw values heard before from the same device. */
  read?: ReadonlyMap<number, Uint8Array>;
  /** Whose readings are wanted of a device that knows users; null: everybody's. */
  user?: number | null;
  zone?: Zone;
}

/** The readings in a payload, and a refusal for each record that is none. */
export function measurements(message: Message): Outcome[] {
  const { characteristic } = message;
  if (INTERIM.includes(characteristic)) return [refuse('interim')];
  const decode = DECODERS[characteristic];
  if (decode === undefined) return [refuse('not_supported')];
  try {
    return decode(message);
  } catch (bad) {
    if (bad instanceof BadPayload) return [refuse(bad.code)];
    throw bad;
  }
}

const refuse = (reason: string, sequence: number | null = null): Refused => ({ reason, sequence });

const failed = (word: Special): string =>
  word === 'above_scale' || word === 'below_scale' ? word : 'measurement_failed';

const BEYOND: readonly string[] = ['above_scale', 'below_scale'];

/**
 * The values and flags of a measurement of one number; null when it failed. A word for "beyond the
 * scale" is a reading without a number: some meters say it in the place of the number, others by a
 * bit beside none.
 */
function told(
  name: string,
  value: Numeric | null,
  flags: readonly string[],
): { values: Record<string, number>; flags: readonly string[] } | null {
  if (value !== null && !isSpecial(value)) return { values: { [name]: value }, flags };
  const bits = BEYOND.filter((word) => flags.includes(word));
  const bit = bits.length === 1 ? (bits[0] ?? null) : null;
  const word = value !== null && BEYOND.includes(value) ? value : bit;
  if (word === null) return null;
  return { values: {}, flags: [...flags.filter((flag) => !BEYOND.includes(flag)), word] };
}

const localOf = (time: DeviceTime | null): string | null =>
  typeof time === 'string' ? time : null;

const deviceMs = (local: string): number => Date.parse(`${local}Z`);

interface Facts {
  kind: string;
  unit: string;
  values: Record<string, number>;
  flags?: readonly string[];
  local?: string | null;
  /** Its number, when that comes from more than this date and these values. */
  storedAs?: number;
  at?: Moment;
  user?: number | null;
}

function given(message: Message, facts: Facts): Given {
  const { kind, unit, values, flags = [], local = null, user = null } = facts;
  const zone = message.model.quirks.utc_clock ? east(0) : (message.zone ?? here);
  const at = facts.at ?? moment(local, message.receivedAt, zone);
  const ownMs = local === null ? message.receivedAt : deviceMs(local);
  return {
    reading: {
      kind,
      sequence: facts.storedAs ?? number(null, ownMs, values),
      taken_at: new Date(at.takenAt).toISOString(),
      unit,
      values,
      flags: [...new Set([...flags, ...at.flags])].sort(),
    },
    user: user === pressure.UNKNOWN_USER ? null : user,
  };
}

type Table = readonly (readonly [bit: number, flag: string])[];

const named = (bits: number, table: Table): string[] =>
  table.filter(([bit]) => (bits & (1 << bit)) !== 0).map(([, flag]) => flag);

/** A reading of another user of a shared device; one without a user is everybody's. */
const another = ({ user: wanted }: Message, user: number | null): boolean =>
  wanted !== undefined && wanted !== null && ![null, pressure.UNKNOWN_USER, wanted].includes(user);

/** The doubt of a reading whose user the device does not know, where one user's are wanted. */
const ofNobody = ({ user: wanted }: Message, user: number | null): string[] =>
  (wanted ?? null) !== null && user === pressure.UNKNOWN_USER ? ['questionable'] : [];

const positive = (value: Numeric | null): value is number =>
  value !== null && !isSpecial(value) && value > 0;

function bloodPressure(message: Message): Outcome[] {
  const said = pressure.decode(message.data, message.model.quirks);
  if (another(message, said.user)) return [refuse('other_user')];
  if (isSpecial(said.systolic)) return [refuse(failed(said.systolic))];
  if (isSpecial(said.diastolic)) return [refuse(failed(said.diastolic))];
  const values: Record<string, number> = { systolic: said.systolic, diastolic: said.diastolic };
  // A cuff that does not compute the mean sends "not a number", or 0.
  if (positive(said.mean)) values.mean = said.mean;
  if (positive(said.pulse)) values.pulse = said.pulse;
  const { unit, user } = said;
  const flags = [...pressure.flagsOf(said.status ?? 0), ...ofNobody(message, user)];
  const local = localOf(said.taken_at);
  return [given(message, { kind: 'blood_pressure', unit, values, flags, local, user })];
}

const METER: Table = [
  [0, 'battery_low'],
  [1, 'sensor_fault'],
  [2, 'sample_too_small'],
  [3, 'strip_fault'],
  [4, 'strip_fault'],
  [5, 'above_scale'],
  [6, 'below_scale'],
  [7, 'too_hot'],
  [8, 'too_cold'],
  [9, 'strip_fault'],
  [10, 'device_fault'],
  [11, 'time_fault'],
];
const MEALS: Readonly<Record<number, string>> = {
  1: 'before_meal',
  2: 'after_meal',
  3: 'fasting',
  5: 'bedtime',
};

/** A decimal with its point moved: 0.0055 by three places is 5.5, and no 5.499999. */
const scaled = (value: number, places: number): number => {
  const [mantissa = '0', exponent = '0'] = value.toExponential().split('e');
  return Number(`${mantissa}e${Number(exponent) + places}`);
};

function bloodGlucose(message: Message): Outcome[] {
  const said = glucose.decode(message.data, message.model.quirks);
  if (glucose.isControl(said)) return [refuse('control_solution', said.sequence)];
  const value = said.concentration;
  const molar = said.unit === 'mol/L';
  const shown = value === null || isSpecial(value) ? value : scaled(value, molar ? 3 : 5);
  const status = [...named(said.status ?? 0, METER), ...meal(message, said.sequence)];
  const reading = told('glucose', shown, status);
  if (reading === null) {
    return [refuse(value === null ? 'no_value' : 'measurement_failed', said.sequence)];
  }
  const sample = said.sample ?? 0;
  const flags = [...reading.flags];
  if (sample < 1 || sample > glucose.INTERSTITIAL) flags.push('questionable');
  const base = localOf(said.base_time);
  return [
    given(message, {
      kind: sample === glucose.INTERSTITIAL ? 'cgm_glucose' : 'glucose',
      unit: molar ? 'mmol/L' : 'mg/dL',
      values: reading.values,
      flags,
      local: glucose.takenAt(said),
      // Of the base time: setting the clock changes the offset, and the record keeps its number.
      storedAs: number(said.sequence, base === null ? null : deviceMs(base), {}),
    }),
  ];
}

/** What the user noted beside this record, if it was heard; a damaged note is no note. */
function meal(message: Message, sequence: number): string[] {
  const heard = message.read?.get(GLUCOSE_CONTEXT);
  if (heard === undefined) return [];
  try {
    const context = glucose.decodeContext(heard, message.model.quirks);
    const flag = MEALS[context.meal ?? 0];
    return flag !== undefined && context.sequence === sequence ? [flag] : [];
  } catch {
    return [];
  }
}

const SENSOR: Table = [
  [0, 'session_stopped'],
  [1, 'battery_low'],
  [2, 'sensor_fault'],
  [3, 'sensor_fault'],
  [4, 'device_fault'],
  [5, 'device_fault'],
  [8, 'time_fault'],
  [11, 'calibration_needed'],
  [12, 'too_hot'],
  [13, 'too_cold'],
  [22, 'below_scale'],
  [23, 'above_scale'],
];

function sensor(message: Message): Outcome[] {
  const { data, model, read, receivedAt } = message;
  const feature = read?.get(CGM_FEATURE);
  const crc = feature === undefined ? null : cgm.featureHasCrc(feature);
  const records = cgm.decode(data, model.quirks, crc);
  const began = read?.get(CGM_SESSION_START);
  const start = began === undefined ? null : cgm.decodeSessionStart(began, model.quirks);
  const first = start === null ? null : localOf(start.local);
  const minutes = start === null ? null : cgm.zoneMinutes(start);
  const home = model.quirks.utc_clock ? east(0) : (message.zone ?? here);
  const zone = minutes === null ? home : east(minutes);
  return records.map((record): Outcome => {
    const { glucose_mg_dl: value, offset_min: offset } = record;
    if (first === null) return refuse('session_unknown', offset);
    const reading = told('glucose', value, named(record.status, SENSOR));
    if (reading === null) return refuse('measurement_failed', offset);
    const local = glucose.later(first, offset);
    if (local === null) return refuse('time_invalid', offset);
    return given(message, {
      kind: 'cgm_glucose',
      unit: 'mg/dL',
      values: reading.values,
      flags: reading.flags,
      local,
      storedAs: number(offset, deviceMs(local), {}),
      at: moment(local, receivedAt, zone),
    });
  });
}

function heartRate(message: Message): Outcome[] {
  const said = belt.decode(message.data, message.model.quirks);
  if (said.rate_bpm === 0) return [refuse('no_value')];
  const flags = said.contact === belt.NO_CONTACT ? ['no_contact'] : [];
  const values = { rate: said.rate_bpm };
  return [given(message, { kind: 'heart_rate', unit: '/min', values, flags })];
}

function temperature(message: Message): Outcome[] {
  const said = thermometer.decode(message.data, message.model.quirks);
  const reading = told('temperature', said.temperature, []);
  if (reading === null) return [refuse('measurement_failed')];
  const local = localOf(said.taken_at);
  return [given(message, { kind: 'temperature', unit: said.unit, ...reading, local })];
}

const NEVER: readonly (readonly [bits: number, reason: string])[] = [
  [0x0c00, 'test_data'],
  [0x1000, 'calibrating'],
  [0x2000, 'not_available'],
  [0x8000, 'invalid'],
];
const OFF = (1 << 11) | (1 << 15);
const MEASURING: Table = [
  [6, 'early_estimate'],
  [9, 'from_memory'],
  [14, 'questionable'],
];
const PROBE: Table = [
  [1, 'device_fault'],
  [14, 'sensor_fault'],
  [3, 'weak_signal'],
  [4, 'weak_signal'],
  [5, 'weak_signal'],
  [6, 'weak_signal'],
  [7, 'weak_signal'],
  [2, 'questionable'],
  [8, 'questionable'],
  [10, 'questionable'],
  [12, 'questionable'],
  [13, 'questionable'],
];

function spotCheck(message: Message): Outcome[] {
  const said = oximeter.decodeSpot(message.data, message.model.quirks);
  return saturation(message, said, said.clock_unset ? null : localOf(said.taken_at));
}

function continuous(message: Message): Outcome[] {
  return saturation(message, oximeter.decodeContinuous(message.data, message.model.quirks), null);
}

function saturation(
  message: Message,
  said: oximeter.SpotCheck | oximeter.Continuous,
  local: string | null,
): Outcome[] {
  const [status, probe] = [said.status ?? 0, said.sensor ?? 0];
  const never = NEVER.find(([bits]) => (status & bits) !== 0);
  if (never !== undefined) return [refuse(never[1])];
  if ((probe & OFF) !== 0) return [refuse('not_available')];
  const value = said.spo2_percent;
  if (isSpecial(value)) return [refuse(failed(value))];
  const values: Record<string, number> = { spo2: value };
  if (positive(said.rate_bpm)) values.pulse = said.rate_bpm;
  const flags = [...named(status, MEASURING), ...named(probe, PROBE)];
  return [given(message, { kind: 'spo2', unit: '%', values, flags, local })];
}

function weight(message: Message): Outcome[] {
  const said = scale.decode(message.data, message.model.quirks);
  if (another(message, said.user)) return [refuse('other_user')];
  if (said.weight === null) return [refuse('measurement_failed')];
  const { unit, user } = said;
  const local = localOf(said.taken_at);
  const values = { weight: said.weight };
  const flags = ofNobody(message, user);
  return [given(message, { kind: 'weight', unit, values, flags, local, user })];
}

const DECODERS: Readonly<Record<number, (message: Message) => Outcome[]>> = {
  [PRESSURE]: bloodPressure,
  [GLUCOSE]: bloodGlucose,
  [CGM]: sensor,
  [HEART_RATE]: heartRate,
  [TEMPERATURE]: temperature,
  [SPOT_CHECK]: spotCheck,
  [CONTINUOUS]: continuous,
  [WEIGHT]: weight,
};
