import { kindOf } from '../visit/readings/kinds';
import type { ChartKind } from './rest';

/** Every kind the server charts, in the order they are offered: a new one is a row here. */
const OFFERED: Readonly<Record<ChartKind, true>> = {
  blood_pressure: true,
  glucose: true,
  cgm_glucose: true,
  heart_rate: true,
  spo2: true,
  temperature: true,
  weight: true,
  cholesterol_total: true,
  cholesterol_hdl: true,
  cholesterol_ldl: true,
  triglyceride: true,
};

export const CHART_KINDS = Object.keys(OFFERED) as ChartKind[];

const isCharted = (kind: string): kind is ChartKind => Object.hasOwn(OFFERED, kind);

/** The kind a chart begins with: that of the newest reading. */
export function firstKind(readings: readonly { kind: string }[]): ChartKind {
  const found = readings.map(({ kind }) => kind).find(isCharted);
  return found ?? 'blood_pressure';
}

/** Digits after the comma of one value of the kind. */
export function digitsOf(kind: string, name: string): number {
  return kindOf(kind)?.quantities.find((one) => one.name === name)?.digits ?? 1;
}
