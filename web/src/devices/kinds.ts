/** What can be connected: a row of Bluetooth's own services each. */

import type { IconName } from '../ui/icons';
import {
  CGM,
  CGM_FEATURE,
  CGM_SESSION_START,
  CONTINUOUS,
  GLUCOSE,
  GLUCOSE_CONTEXT,
  HEART_RATE,
  PRESSURE,
  SPOT_CHECK,
  TEMPERATURE,
  WEIGHT,
} from './gatt/to-measurement';
import type { AddedKind } from './rest';

export const CONTROL_POINT = 0x2a52;

export type DeviceKind =
  'cuff' | 'meter' | 'sensor' | 'thermometer' | 'oximeter' | 'belt' | 'scale';

export interface KindRow {
  kind: DeviceKind;
  icon: IconName;
  service: number;
  /** Read once, before the rest can be understood. */
  reads: readonly number[];
  listens: readonly number[];
  /** Kinds of reading it may send. */
  gives: readonly AddedKind[];
}

export const DEVICE_KINDS: readonly KindRow[] = [
  row('cuff', 'heart', 0x1810, [PRESSURE], ['blood_pressure']),
  row('meter', 'drop', 0x1808, [GLUCOSE, GLUCOSE_CONTEXT], ['glucose', 'cgm_glucose']),
  row('sensor', 'trace', 0x181f, [CGM], ['cgm_glucose'], [CGM_FEATURE, CGM_SESSION_START]),
  row('thermometer', 'thermometer', 0x1809, [TEMPERATURE], ['temperature']),
  row('oximeter', 'hand', 0x1822, [SPOT_CHECK, CONTINUOUS], ['spo2']),
  row('belt', 'heart', 0x180d, [HEART_RATE], ['heart_rate']),
  row('scale', 'person', 0x181d, [WEIGHT], ['weight']),
];

function row(
  kind: DeviceKind,
  icon: IconName,
  service: number,
  listens: readonly number[],
  gives: readonly AddedKind[],
  reads: readonly number[] = [],
): KindRow {
  return { kind, icon, service, reads, listens, gives };
}

export const rowOf = (kind: DeviceKind): KindRow =>
  DEVICE_KINDS.find((each) => each.kind === kind) ?? (DEVICE_KINDS[0] as KindRow);
