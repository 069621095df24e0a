import { fireEvent, render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Chart } from '../../src/charts/rest';
import RecordChart from '../../src/charts/RecordChart.svelte';
import { setLanguage } from '../../src/i18n/language.svelte';
import { problem } from '../network';

const PERSON = '0197aaaa-0000-7000-8000-000000000031';
const DAY = 86_400_000;
const FIRST = new Date(2026, 1, 1).getTime();

const band = (day: number, low: number, high: number, n = 2) => ({
  at: new Date(FIRST + day * DAY).toISOString(),
  n,
  low,
  high,
  mean: (low + high) / 2,
});
const chart: Chart = {
  kind: 'blood_pressure',
  level: 'hours',
  since: new Date(FIRST).toISOString(),
  until: new Date(FIRST + 30 * DAY).toISOString(),
  step_s: DAY / 1_000,
  lines: [
    // A day without a reading between the second and the third band.
    {
      name: 'systolic',
      unit: 'mmHg',
      bands: [band(0, 118, 132), band(1, 120, 180), band(3, 121, 121, 1)],
    },
    { name: 'diastolic', unit: 'mmHg', bands: [band(0, 76, 84), band(1, 78, 90)] },
    { name: 'pulse', unit: '/min', bands: [band(0, 64, 70), band(1, 66, 72)] },
  ],
  marks: [],
};

let asked: URL[] = [];

function server(...answers: (Chart | 'away' | 'never')[]): void {
  vi.stubGlobal('fetch', (request: Request) => {
    asked.push(new URL(request.url));
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === 'never') return new Promise<never>(() => undefined);
    if (answer !== 'away') return Promise.resolve(Response.json(answer));
    const { status, body } = problem(503, 'server_away');
    return Promise.resolve(Response.json(body, { status: status ?? 503 }));
  });
}

beforeEach(() => {
  asked = [];
  setLanguage('en');
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe(): void {}
      disconnect(): void {}
    },
  );
});
afterEach(() => vi.unstubAllGlobals());

const show = () => render(RecordChart, { person: PERSON, first: 'blood_pressure' });

it('draws a hole as a hole, and both pressures apart from the pulse', async () => {
  server(chart);
  const { container } = show();
  expect(await screen.findAllByRole('img')).toHaveLength(2);
  const runs = [...container.querySelectorAll('[data-line=systolic] [data-run]')];
  expect(runs.map((run) => run.getAttribute('data-run'))).toEqual(['2', '1']);
  expect(container.querySelectorAll('[data-line=systolic] .mean')).toHaveLength(1);
  expect(container.querySelectorAll('[data-line=systolic] .dot')).toHaveLength(1);
  expect(asked).toHaveLength(1);
});

it('says each moment in words, moved by keys', async () => {
  server(chart);
  show();
  const where = await screen.findByRole('slider', { name: 'Values along the time' });
  expect(where).toHaveAttribute('aria-valuetext', '4 February: Upper (systolic) 121; 1 reading');
  await fireEvent.input(where, { target: { value: '1' } });
  expect(where).toHaveAttribute(
    'aria-valuetext',
    '2 February: Upper (systolic) 150 (120–180), Lower (diastolic) 84 (78–90), Pulse 69 (66–72); 2 readings',
  );
});

it('has the same values as a table, the newest first', async () => {
  server(chart);
  show();
  await userEvent.click(await screen.findByText('The same values as a table'));
  const rows = within(screen.getByRole('table')).getAllByRole('row');
  const cells = rows.map((row) => [...row.children].map((cell) => cell.textContent?.trim()));
  expect(cells).toEqual([
    ['When', 'Upper (systolic), mmHg', 'Lower (diastolic), mmHg', 'Pulse, bpm', 'Readings'],
    ['4 February', '121', 'none', 'none', '1'],
    ['2 February', '150 (120–180)', '84 (78–90)', '69 (66–72)', '2'],
    ['1 February', '125 (118–132)', '80 (76–84)', '67 (64–70)', '2'],
  ]);
});

it('asks anew for another kind and another time, and says when there is nothing', async () => {
  server(chart, { ...chart, kind: 'glucose', lines: [] });
  show();
  await screen.findByRole('slider');
  await userEvent.selectOptions(screen.getByLabelText('What to show'), 'glucose');
  expect(await screen.findByText(/no such readings/)).toBeInTheDocument();
  expect(screen.queryByRole('slider')).toBeNull();
  await userEvent.click(screen.getByLabelText('A year'));
  const days = ({ searchParams }: URL): number =>
    Math.round(
      (Date.parse(searchParams.get('until') ?? '') - Date.parse(searchParams.get('since') ?? '')) /
        DAY,
    );
  expect(asked.map((url) => [url.searchParams.get('kind'), days(url)])).toEqual([
    ['blood_pressure', 30],
    ['glucose', 30],
    ['glucose', 365],
  ]);
});

it('shows no old picture under a new choice, nor when that could not be had', async () => {
  server(chart, 'never');
  const { unmount } = show();
  await screen.findByRole('slider');
  await userEvent.click(screen.getByLabelText('7 days'));
  expect(screen.queryByRole('img')).toBeNull();
  unmount();
  server(chart, 'away');
  show();
  await screen.findByRole('slider');
  await userEvent.click(screen.getByRole('button', { name: 'Refresh' }));
  await screen.findByRole('alert');
  expect(screen.queryByRole('img')).toBeNull();
});

it('says what lay beyond the scale, also where there is no number at all', async () => {
  const at = new Date(FIRST + DAY).toISOString();
  const marks: Chart['marks'] = [{ at, word: 'above_scale', n: 2 }];
  server({ ...chart, marks });
  const { container, unmount } = render(RecordChart, { person: PERSON, first: 'glucose' });
  expect(await screen.findByTestId('chart-mark')).toHaveTextContent(/Above.*2 readings/);
  expect(container.querySelectorAll('[data-beyond=above_scale]').length).toBeGreaterThan(0);
  unmount();
  server({ ...chart, lines: [], marks });
  render(RecordChart, { person: PERSON, first: 'glucose' });
  expect(await screen.findByTestId('chart-mark')).toBeVisible();
  expect(screen.queryByText('There are no such readings in this time.')).toBeNull();
});
