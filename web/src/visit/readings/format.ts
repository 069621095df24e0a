/** A reading in words: «128/82 мм рт. ст., пульс 71». Values are canonical, so kPa and mg/dL agree. */

import { isKey, t } from '../../i18n/t';
import type { IconName } from '../../ui/icons';
import { decimal } from '../words';
import type { Reading } from '../wire';
import { kindOf } from './kinds';

export interface ReadingText {
  name: string;
  icon: IconName;
  /** The number, large. */
  value: string;
  unit: string;
  /** A second number: the pulse that came with a blood pressure. */
  more: string | null;
  /** As sent, when that was in another unit. */
  sent: string | null;
  /** Beyond the device's scale, where that is a matter of hours: what it means and what to do. */
  alert: string | null;
  /** What speaks against the reading. */
  flags: string[];
  /** When it was taken, in the person's day. */
  marks: string[];
}

/** The server's name for a person's own hands. */
const BY_HAND = 'manual';
/** And for what a nurse or clerk typed in for the person. */
const BY_DESK = 'desk';
/** And for what came in a file of readings. */
const BY_FILE = 'file';

const ICON: Record<string, IconName> = {
  blood_pressure: 'heart',
  glucose: 'drop',
  cgm_glucose: 'drop',
  cholesterol_total: 'drop',
  cholesterol_hdl: 'drop',
  cholesterol_ldl: 'drop',
  triglyceride: 'drop',
  heart_rate: 'heart',
  spo2: 'drop',
  temperature: 'thermometer',
};

/** Flags that tell of the day and doubt nothing. */
const MARKS: readonly string[] = ['fasting', 'before_meal', 'after_meal', 'bedtime', 'from_memory'];

/** Said by a device in place of a number. */
const BEYOND = ['above_scale', 'below_scale'] as const;
type Beyond = (typeof BEYOND)[number];
/** Kinds whose ends of the scale lie beyond level 2: telemed/off_scale.py has the rule. */
const ALERTED: readonly string[] = ['glucose', 'cgm_glucose'];

/** Which end of the scale a reading without a number lies beyond; null when it has one. */
export function beyond(values: Record<string, number>, flags: readonly string[]): Beyond | null {
  const said = BEYOND.filter((word) => flags.includes(word));
  return said.length === 1 && Object.keys(values).length === 0 ? (said[0] ?? null) : null;
}

/** A unit as people read it; an unknown one as the device wrote it. */
export function unitText(unit: string): string {
  const name =
    { '/min': 'per_minute', '%': 'percent', '[degF]': 'degF', '[lb_av]': 'lb' }[unit] ?? unit;
  const key = `visit.unit_${name.replace('/', '_')}`;
  return isKey(key) ? t(key) : unit;
}

/** The name of a kind; an unknown one as the server wrote it. */
export function kindText(kind: string): string {
  const key = `visit.kind_${kind}`;
  return isKey(key) ? t(key) : kind;
}

/** Who measured: a device by its name, or the person by hand. */
export function sourceText(device: Reading['device']): string | null {
  if (device === null) return null;
  if (device.name === BY_DESK) return t('visit.by_desk');
  if (device.name === BY_FILE) return t('visit.by_file');
  return device.name === BY_HAND ? t('visit.by_hand') : device.name;
}

/** A flag as a sentence; an unknown one is still shown, because it may matter. */
export function flagText(flag: string): string {
  const key = `visit.flag_${flag}`;
  return isKey(key) ? t(key) : t('visit.flag_other', { flag });
}

function numbers(kind: string, values: Record<string, number>, own: boolean): string {
  if (kind === 'blood_pressure') {
    const digits = own ? 0 : 1;
    const pressure = [values.systolic, values.diastolic];
    return pressure.map((value) => (value === undefined ? '—' : decimal(value, digits))).join('/');
  }
  const quantities = kindOf(kind)?.quantities;
  if (quantities === undefined) {
    return Object.entries(values)
      .map(([name, value]) => `${name} ${decimal(value, 2)}`)
      .join(', ');
  }
  const [{ name, digits }] = quantities as [(typeof quantities)[number]];
  const value = values[name];
  if (value === undefined) return '—';
  return own ? decimal(value, digits, digits) : decimal(value, 2);
}

export function readingText(reading: Reading): ReadingText {
  const { kind, values, unit, sent_values: sent, sent_unit: sentUnit, flags } = reading;
  const pulse = kind === 'blood_pressure' || kind === 'spo2' ? values.pulse : undefined;
  const word = beyond(values, flags);
  return {
    name: kindText(kind),
    icon: ICON[kind] ?? 'device',
    value: word === null ? numbers(kind, values, true) : t(`visit.beyond_${word}`),
    unit: word === null ? unitText(unit) : '',
    alert: word !== null && ALERTED.includes(kind) ? t(`visit.alert_${word}`) : null,
    more: pulse === undefined ? null : t('visit.pulse', { n: decimal(pulse, 0) }),
    sent:
      sentUnit === unit || word !== null
        ? null
        : t('visit.sent_as', { value: numbers(kind, sent, false), unit: unitText(sentUnit) }),
    flags: flags.filter((flag) => !MARKS.includes(flag) && flag !== word).map(flagText),
    marks: flags.filter((flag) => MARKS.includes(flag)).map(flagText),
  };
}

/** The whole reading as one line, to be read out. */
export function readingLine(reading: Reading): string {
  const { name, value, unit, more, alert } = readingText(reading);
  const rest = [more === null ? '' : `, ${more}`, alert === null ? '' : `. ${alert}`];
  return `${name}: ${value} ${unit}`.trim() + rest.join('');
}

/** A reading as the device measured it, in the device's own unit, as one line. */
export function measuredLine(
  kind: string,
  values: Record<string, number>,
  unit: string,
  flags: readonly string[] = [],
): string {
  const word = beyond(values, flags);
  if (word !== null) return `${kindText(kind)}: ${t(`visit.beyond_${word}`)}`;
  const pulse = kind === 'blood_pressure' || kind === 'spo2' ? values.pulse : undefined;
  const more = pulse === undefined ? '' : `, ${t('visit.pulse', { n: decimal(pulse, 0) })}`;
  return `${kindText(kind)}: ${numbers(kind, values, false)} ${unitText(unit)}${more}`;
}

/** A refusal at a field as a sentence; `field` names what it speaks of. */
export function refusalText(code: string, params: Record<string, string | number>): string {
  const key = `visit.refused_${code}`;
  if (!isKey(key)) {
    const problem = `common.problem_${code}`;
    return isKey(problem) ? t(problem) : t('visit.refused_other');
  }
  const { unit } = params;
  return t(key, typeof unit === 'string' ? { ...params, unit: unitText(unit) } : params);
}
