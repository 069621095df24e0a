import { render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
// It brings the words of the list.
import '../../src/visit/ecg/tools';
import type { EcgStrip } from '../../src/visit/ecg/strips';
import StripsList from '../../src/visit/ecg/StripsList.svelte';
import { network, problem } from '../network';

const id = '0197aaaa-0000-7000-8000-000000000009';
const list = `GET /api/v1/visits/${id}/ecg-strips`;
const strip: EcgStrip = {
  id: 's1',
  stream: 'e1',
  lead: 'II',
  from_us: 1_780_000_000_000_000,
  until_us: 1_780_000_010_000_000,
  speed_mm_s: 25,
  gain_mm_mv: 10,
  remark: 'Pause',
  made_at: '2026-05-28T20:27:00Z',
};

beforeEach(() => {
  setLanguage('en');
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('the strips of a visit that is over come when the server is back', async () => {
  network({ [list]: [problem(503, 'server_away'), { body: [strip] }] });
  render(StripsList, { visitId: id, told: 0, made: [] });
  await vi.advanceTimersByTimeAsync(4_000);
  expect(screen.queryByTestId('ecg-strips')).toBeNull();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(screen.getByText('Pause')).toBeInTheDocument();
});
