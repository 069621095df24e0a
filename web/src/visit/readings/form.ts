/** "Add a reading by hand": from typed text to a measurement, and refusals back to their fields. */

import { kindOf } from './kinds';

export interface Draft {
  kind: string;
  texts: Record<string, string>;
  unit: string;
  /** Value of a datetime-local input: local time without a zone. */
  at: string;
}

export interface Measurement {
  kind: string;
  sequence: number;
  taken_at: string;
  unit: string;
  values: Record<string, number>;
}

/** `field`: `values.systolic`, `unit`, `taken_at`, or '' for the whole. */
export interface Refusal {
  field: string;
  code: string;
  params: Record<string, string | number>;
}

export type Drafted = { measurement: Measurement } | { refusals: Refusal[] };

/** A number as people here type it: comma or point. Null for anything else. */
export function parseNumber(text: string): number | null {
  const plain = text.trim().replace(',', '.');
  return /^-?\d{1,6}(\.\d{1,4})?$/.test(plain) ? Number(plain) : null;
}

/**
 * A number for a reading typed by hand, unique for this person: the moment of typing with three
 * random digits. It stays with the reading, so sending it again stores it once.
 */
export function handSequence(nowMs: number, random: number): number {
  return Math.floor(nowMs) * 1_000 + Math.floor(random * 1_000);
}

/** Local time for a datetime-local input, to the minute. */
export function localInput(at: Date): string {
  const two = (n: number) => String(n).padStart(2, '0');
  return (
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}` +
    `T${two(at.getHours())}:${two(at.getMinutes())}`
  );
}

export function emptyDraft(kind: string, now: Date): Draft {
  return { kind, texts: {}, unit: kindOf(kind)?.units[0] ?? '', at: localInput(now) };
}

/** Something of a reading is typed and would be missed. */
export function isTyped(draft: Draft): boolean {
  return Object.values(draft.texts).some((text) => text.trim() !== '');
}

/**
 * What was typed as a measurement, or what is missing. Limits are the server's: it knows them for
 * every source alike, and answers at the field.
 */
export function toMeasurement(draft: Draft, sequence: number): Drafted {
  const refusals: Refusal[] = [];
  const refuse = (field: string, code: string) => refusals.push({ field, code, params: {} });
  const values: Record<string, number> = {};
  for (const { name, optional } of kindOf(draft.kind)?.quantities ?? []) {
    const text = draft.texts[name]?.trim() ?? '';
    const value = parseNumber(text);
    if (text === '') {
      if (!optional) refuse(`values.${name}`, 'value_missing');
    } else if (value === null) refuse(`values.${name}`, 'not_a_number');
    else values[name] = value;
  }
  if (draft.unit === '') refuse('unit', 'unit_missing');
  const at = new Date(draft.at);
  if (Number.isNaN(at.getTime())) refuse('taken_at', 'time_missing');
  if (refusals.length > 0) return { refusals };
  return {
    measurement: {
      kind: draft.kind,
      sequence,
      taken_at: at.toISOString(),
      unit: draft.unit,
      values,
    },
  };
}

/** Refusals of the server at the form's own field names. */
export function atFields(
  errors: readonly { field: string; code: string; params?: Record<string, unknown> }[],
): Refusal[] {
  return errors.map(({ field, code, params }) => ({
    field: field.replace(/^readings\[\d+\]\.?/, ''),
    code,
    params: Object.fromEntries(
      Object.entries(params ?? {}).map(([name, value]) => [
        name,
        typeof value === 'number' ? value : String(value),
      ]),
    ),
  }));
}
