/** A file of readings: sent to be looked at, then to be stored. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import { isKey, t } from '../i18n/t';
import { kindText, refusalText } from '../visit/readings/format';
import { kindOf, KINDS } from '../visit/readings/kinds';

type Schemas = components['schemas'];
export type Preview = Schemas['FilePreview'];
export type Stored = Schemas['FileStored'];
export type Column = Schemas['Column'];
export type Refused = Schemas['FileRowRefused'];

export const MOST_BYTES = 200 * 1024 * 1024;
/** What a whole row of another kind is refused for; it stands for many. */
const OTHER_KIND = 'kind_unknown';

/** What a file does not say of itself. */
export interface Said {
  columns: readonly Column[] | null;
  dayFirst: boolean | null;
}

export const NOTHING_SAID: Said = { columns: null, dayFirst: null };

function queryOf(said: Said): { options: string } {
  return {
    options: JSON.stringify({
      zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      // An address has room for so much: nothing is said of what is not needed.
      columns: said.columns?.map((column) => (column.role ? column : {})) ?? null,
      day_first: said.dayFirst,
    }),
  };
}

// Bytes, whatever the schema calls them.
const sent = (file: File) => ({
  body: file as unknown as string,
  bodySerializer: (body: unknown) => body as Blob,
  headers: { 'Content-Type': 'application/octet-stream' },
});

export function look(file: File, said: Said): Promise<Preview> {
  const params = { query: queryOf(said) };
  return ask(api.POST('/api/v1/my/readings/file', { params, ...sent(file) }));
}

/** The kinds of a file that are wanted. */
export function wantedOf(preview: Preview, unwanted: readonly string[]): Preview['kinds'] {
  return preview.kinds.filter(({ kind }) => !unwanted.includes(kind));
}

export interface Taken {
  count: number;
  leftOut: number;
}

/** How many readings of these kinds would be stored: the server takes so many of a file at once. */
export function takenOf(preview: Preview, wanted: Preview['kinds']): Taken {
  const all = wanted.reduce((sum, { count }) => sum + count, 0);
  const count = preview.left_out > 0 ? Math.min(all, preview.readings) : all;
  return { count, leftOut: all - count };
}

/** Stores what is wanted of it; without a kind nothing is, though the server would take all. */
export function store(
  file: File,
  said: Said,
  kinds: readonly string[],
  sha256: string,
): Promise<Stored> {
  if (kinds.length === 0) throw new RangeError('no kind is wanted');
  const params = { query: { ...queryOf(said), kinds: kinds.join(','), sha256 } };
  return ask(api.POST('/api/v1/my/readings/file/confirm', { params, ...sent(file) }));
}

/** What a column may hold, named. */
export function roles(): { value: string; text: string }[] {
  const kinds = [...KINDS, kindOf('cgm_glucose')].filter((kind) => kind !== undefined);
  return [
    { value: '', text: t('imports.role_none') },
    { value: 'time', text: t('imports.role_time') },
    { value: 'date', text: t('imports.role_date') },
    { value: 'clock', text: t('imports.role_clock') },
    ...kinds.flatMap(({ kind, quantities }) =>
      quantities.map(({ name }) => {
        const key = `visit.quantity_${name}`;
        const own = isKey(key) ? t(key) : name;
        const text = quantities.length === 1 ? kindText(kind) : `${kindText(kind)}: ${own}`;
        return { value: `${kind}.${name}`, text };
      }),
    ),
  ];
}

/** Units a column's role is measured in; none when there is nothing to choose. */
export function unitsOf(role: string): readonly string[] {
  const [kind = '', quantity = ''] = role.split('.');
  const units = kindOf(kind)?.units ?? [];
  return quantity === 'pulse' || units.length < 2 ? [] : units;
}

/** The column with another role; a unit that does not go with it is forgotten. */
export function withRole(column: Column, role: string): Column {
  const units = unitsOf(role);
  const [kind = '', quantity = ''] = role.split('.');
  const only = quantity === 'pulse' ? '/min' : (kindOf(kind)?.units ?? [])[0];
  if (units.length === 0) return { role, unit: role.includes('.') ? (only ?? '') : '' };
  return {
    role,
    unit: column.unit !== undefined && units.includes(column.unit) ? column.unit : '',
  };
}

/** Why a row is not taken, as a sentence. */
export function whyText(row: Refused): string {
  if (row.code === OTHER_KIND) {
    const count = Number(row.params.count ?? 1);
    const type = String(row.params.type ?? '');
    return type === ''
      ? t('imports.other_kind_unnamed', { count })
      : t('imports.other_kind', { type, count });
  }
  const key = `imports.why_${row.code}`;
  return isKey(key) ? t(key) : refusalText(row.code, row.params);
}

/** Whether an answer to "which number is the day" would let rows in. */
export const isAmbiguous = (preview: Preview): boolean =>
  preview.refused.some(({ code }) => code === 'date_ambiguous');
