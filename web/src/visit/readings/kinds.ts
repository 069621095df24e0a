/** The kinds of measurement a person can type in: their values and the units in use. */

export interface Quantity {
  name: string;
  optional: boolean;
  /** Digits after the comma in the canonical unit. */
  digits: number;
}

export interface KindForm {
  kind: string;
  quantities: readonly Quantity[];
  /** The first is the canonical one and the usual one in Russia. */
  units: readonly string[];
}

const must = (name: string, digits = 0): Quantity => ({ name, optional: false, digits });
const pulse: Quantity = { name: 'pulse', optional: true, digits: 0 };

export const KINDS: readonly KindForm[] = [
  {
    kind: 'blood_pressure',
    quantities: [must('systolic'), must('diastolic'), pulse],
    units: ['mmHg', 'kPa'],
  },
  { kind: 'glucose', quantities: [must('glucose', 1)], units: ['mmol/L', 'mg/dL'] },
  { kind: 'cholesterol_total', quantities: [must('cholesterol', 1)], units: ['mmol/L', 'mg/dL'] },
  { kind: 'heart_rate', quantities: [must('rate')], units: ['/min'] },
  { kind: 'spo2', quantities: [must('spo2'), pulse], units: ['%'] },
  { kind: 'temperature', quantities: [must('temperature', 1)], units: ['Cel', '[degF]'] },
  { kind: 'weight', quantities: [must('weight', 1)], units: ['kg', '[lb_av]'] },
  { kind: 'cholesterol_hdl', quantities: [must('hdl', 2)], units: ['mmol/L', 'mg/dL'] },
  { kind: 'cholesterol_ldl', quantities: [must('ldl', 2)], units: ['mmol/L', 'mg/dL'] },
  { kind: 'triglyceride', quantities: [must('triglyceride', 2)], units: ['mmol/L', 'mg/dL'] },
];

/** What only a device reports. */
const SENSED: readonly KindForm[] = [
  { kind: 'cgm_glucose', quantities: [must('glucose', 1)], units: ['mmol/L', 'mg/dL'] },
];

export function kindOf(kind: string): KindForm | undefined {
  return [...KINDS, ...SENSED].find((known) => known.kind === kind);
}
