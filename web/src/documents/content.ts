import type { Content, Kind } from './rest';

/** One field of a kind of document, in the order of the form. */
export interface FieldOf {
  name:
    | 'diagnosis'
    | 'icd10'
    | 'text'
    | 'advice'
    | 'to'
    | 'reason'
    | 'absent_from'
    | 'absent_until'
    | 'sports_until';
  type: 'line' | 'text' | 'date';
}

const line = (name: FieldOf['name']): FieldOf => ({ name, type: 'line' });
const text = (name: FieldOf['name']): FieldOf => ({ name, type: 'text' });
const date = (name: FieldOf['name']): FieldOf => ({ name, type: 'date' });

export const KINDS = ['certificate', 'conclusion', 'referral', 'consent'] as const;

export const FIELDS: Readonly<Record<Kind, readonly FieldOf[]>> = {
  conclusion: [line('diagnosis'), line('icd10'), text('text'), text('advice')],
  referral: [line('to'), text('reason'), line('diagnosis'), line('icd10')],
  certificate: [
    date('absent_from'),
    date('absent_until'),
    date('sports_until'),
    line('diagnosis'),
    line('icd10'),
  ],
  consent: [],
};

export type Values = Partial<Record<FieldOf['name'], string>>;

/** What a form holds of a content. */
export function valuesOf(content: Content): Values {
  const given = content as unknown as Record<string, string | null>;
  return Object.fromEntries(FIELDS[content.kind].map(({ name }) => [name, given[name] ?? '']));
}

/** The content a form says: an empty day is none. */
export function contentOf(kind: Kind, values: Values): Content {
  if (kind === 'consent') return { kind, purpose: 'telemedicine' };
  const said = FIELDS[kind].map(({ name, type }) => {
    const value = (values[name] ?? '').trim();
    return [name, type === 'date' && value === '' ? null : value] as const;
  });
  return { kind, ...Object.fromEntries(said) } as unknown as Content;
}
