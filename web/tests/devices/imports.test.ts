import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import ImportPage from '../../src/devices/ImportPage.svelte';
import {
  roles,
  takenOf,
  unitsOf,
  wantedOf,
  whyText,
  withRole,
  type Preview,
} from '../../src/devices/imports';
import { setLanguage } from '../../src/i18n/language.svelte';
import { network } from '../network';

const LOOK = 'POST /api/v1/my/readings/file';
const STORE = 'POST /api/v1/my/readings/file/confirm';
const SHA = 'a'.repeat(64);

const preview = (changes: Partial<Preview> = {}): Preview => ({
  sha256: SHA,
  format: 'csv',
  header: ['time', 'sys', 'dia'],
  columns: [
    { role: 'time', unit: '' },
    { role: 'blood_pressure.systolic', unit: 'mmHg' },
    { role: 'blood_pressure.diastolic', unit: 'mmHg' },
  ],
  columns_needed: false,
  kinds: [
    {
      kind: 'blood_pressure',
      count: 2,
      first: '2026-03-01T08:00:00Z',
      last: '2026-03-02T08:00:00Z',
    },
  ],
  readings: 2,
  left_out: 0,
  newest: [
    {
      place: 3,
      kind: 'blood_pressure',
      taken_at: '2026-03-02T08:00:00Z',
      values: { systolic: 128, diastolic: 82, pulse: 71 },
      unit: 'mmHg',
      flags: [],
    },
  ],
  refused: [{ place: 4, code: 'number_unreadable', field: 'values.systolic', params: {} }],
  refused_total: 1,
  ...changes,
});

const choose = async (): Promise<void> => {
  const input = document.querySelector<HTMLInputElement>('input[type=file]');
  if (input === null) throw new Error('no input');
  await userEvent.upload(input, new File(['a,b\n1,2\n'], 'cuff.csv', { type: 'text/csv' }));
};

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

describe('the page of a file', () => {
  it('shows what is in it and why rows are not taken, and stores at a word', async () => {
    const sent = network({
      [LOOK]: { body: preview() },
      [STORE]: { body: { stored: 2, repeated: 0, refused_total: 1, left_out: 0 } },
    });
    render(ImportPage);
    await choose();
    expect(await screen.findByText('Blood pressure: 128/82 mmHg, pulse 71')).toBeTruthy();
    expect(screen.getByText('Line or record 4')).toBeTruthy();
    expect(screen.getByText('This should be a number.')).toBeTruthy();
    expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual([LOOK]);
    await userEvent.click(screen.getByRole('button', { name: 'Store (2)' }));
    expect(await screen.findAllByText('Stored: 2. Were here already: 0.')).not.toHaveLength(0);
    expect(sent.map(({ path }) => path)).toEqual([LOOK.slice(5), STORE.slice(5)]);
    expect(screen.queryByRole('button', { name: 'Store (2)' })).toBeNull();
  });

  it('stores the kinds that are ticked, and nothing while none is', async () => {
    const [pressure] = preview().kinds;
    const two = preview({ kinds: [pressure, { ...pressure, kind: 'glucose', count: 5 }] as never });
    const sent = network({
      [LOOK]: { body: { ...two, readings: 7 } },
      [STORE]: { body: { stored: 2, repeated: 0, refused_total: 1, left_out: 0 } },
    });
    render(ImportPage);
    await choose();
    const boxes = await screen.findAllByRole('checkbox');
    for (const box of boxes) await userEvent.click(box);
    expect(screen.queryByRole('button', { name: /^Store/ })).toBeNull();
    await userEvent.click(boxes[0] as HTMLElement);
    await userEvent.click(screen.getByRole('button', { name: 'Store (2)' }));
    // The file is sent twice: no tick sends it again.
    expect(sent.map(({ path }) => path)).toEqual([LOOK.slice(5), STORE.slice(5)]);
    expect(new URLSearchParams(sent[1]?.search).get('kinds')).toBe('blood_pressure');
  });

  it('counts what is left out of the kinds that are wanted', () => {
    const [pressure] = preview().kinds;
    const kinds = [
      { ...pressure, count: 15_000 },
      { ...pressure, kind: 'glucose', count: 9_000 },
    ] as Preview['kinds'];
    const large = preview({ kinds, readings: 20_000, left_out: 4_000 });
    expect(takenOf(large, wantedOf(large, []))).toEqual({ count: 20_000, leftOut: 4_000 });
    const wanted = wantedOf(large, ['glucose']);
    expect(takenOf(large, wanted)).toEqual({ count: 15_000, leftOut: 0 });
  });

  it('unfolds the columns when a unit is missing', async () => {
    const missing = { place: 2, code: 'unit_missing', field: 'unit', params: {} };
    network({ [LOOK]: { body: preview({ kinds: [], newest: [], refused: [missing] }) } });
    render(ImportPage);
    await choose();
    const columns = await screen.findByText('What the columns hold');
    expect(columns.closest('details')).toHaveAttribute('open');
  });

  it('asks what the columns are when nobody can tell', async () => {
    const needed = preview({
      columns_needed: true,
      columns: Array.from({ length: 3 }, () => ({ role: '', unit: '' })),
      kinds: [],
      newest: [],
      refused: [],
      readings: 0,
      refused_total: 0,
    });
    const sent = network({ [LOOK]: [{ body: needed }, { body: preview() }] });
    render(ImportPage);
    await choose();
    const column = await screen.findByLabelText('Column “time”');
    await userEvent.selectOptions(column, 'time');
    await userEvent.click(screen.getByRole('button', { name: 'Look again' }));
    expect(await screen.findByText('Blood pressure: 128/82 mmHg, pulse 71')).toBeTruthy();
    expect(sent).toHaveLength(2);
  });

  it('says why a file is refused, and lets another be chosen', async () => {
    const problem = { code: 'readings_file_truncated', status: 422, title: '' };
    network({ [LOOK]: { status: 422, body: problem } });
    render(ImportPage);
    await choose();
    const alert = await screen.findByRole('alert');
    expect(within(alert).getByText(/breaks off/)).toBeTruthy();
    expect(screen.getByText('Choose another file')).toBeTruthy();
  });
});

describe('what a column may hold', () => {
  it('names kinds of several numbers by both', () => {
    const names = new Map(roles().map(({ value, text }) => [value, text]));
    expect(names.get('blood_pressure.systolic')).toBe('Blood pressure: Upper (systolic)');
    expect(names.get('weight.weight')).toBe('Weight');
    expect(names.has('cgm_glucose.glucose')).toBe(true);
  });

  it('keeps a unit only while it goes with the role', () => {
    expect(unitsOf('glucose.glucose')).toEqual(['mmol/L', 'mg/dL']);
    expect(unitsOf('heart_rate.rate')).toEqual([]);
    const glucose = { role: 'glucose.glucose', unit: 'mg/dL' };
    expect(withRole(glucose, 'cgm_glucose.glucose').unit).toBe('mg/dL');
    expect(withRole(glucose, 'blood_pressure.systolic').unit).toBe('');
    expect(withRole(glucose, 'heart_rate.rate').unit).toBe('/min');
    expect(withRole(glucose, '')).toEqual({ role: '', unit: '' });
  });
});

describe('why a row is not taken', () => {
  it('says it in words, whoever refused it', () => {
    const row = (code: string, params = {}) => ({ place: 1, code, field: '', params });
    expect(whyText(row('date_ambiguous'))).toMatch(/which number/);
    expect(whyText(row('too_old'))).toMatch(/more than a year/);
    expect(whyText(row('kind_unknown', { type: 'StepCount', count: 7 }))).toBe(
      'StepCount, records: 7. These are not kept here.',
    );
    expect(whyText(row('kind_unknown', { type: '', count: 7 }))).toMatch(/^Other records: 7/);
    expect(whyText(row('of another world'))).toMatch(/did not accept/);
  });
});
