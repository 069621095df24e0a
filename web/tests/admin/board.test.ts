import { render, screen } from '@testing-library/svelte';
import { beforeEach, expect, it } from 'vitest';
import BoardSection from '../../src/admin/BoardSection.svelte';
import '../../src/i18n/admin';
import { setLanguage } from '../../src/i18n/language.svelte';
import { network } from '../network';

const ORG = '0197aaaa-0000-7000-8000-000000000077';
const board = {
  at: '2026-11-22T12:00:00Z',
  lessons: [],
  visits: { open: 0, people: 0, failed_joins: 0 },
  media: null,
  media_away: true,
  failed_jobs: 0,
  disk: { free_bytes: 9e9, total_bytes: 10e9 },
};
const never = { made_at: null, drilled_at: null, drill_passed: false, log_behind: false };
const at = '2026-11-22T11:00:00Z';

function show(backups: object): void {
  network({ [`GET /api/v1/organisations/${ORG}/board`]: { body: { ...board, backups } } });
  render(BoardSection, { org: ORG });
}

const said = async (term: string): Promise<string> =>
  (await screen.findByText(term)).nextElementSibling?.textContent?.trim() ?? '';

beforeEach(() => setLanguage('en'));

it('says plainly that there was never a backup nor a trial restore', async () => {
  show(never);
  expect(await said('Last backup')).toBe('Never');
  expect(await said('Last trial restore')).toBe('Never');
  expect(screen.queryByText(/do not reach the place of backups/)).toBeNull();
});

it('says when they were, and how the trial ended', async () => {
  show({ ...never, made_at: at, drilled_at: at, drill_passed: true });
  expect(await said('Last backup')).toMatch(/^\d\d:00$/);
  expect(await said('Last trial restore')).toMatch(/^\d\d:00 – passed$/);
});

it('says that a trial failed and that new entries wait', async () => {
  show({ ...never, made_at: '2026-11-01T11:00:00Z', drilled_at: at, log_behind: true });
  expect(await said('Last backup')).toMatch(/^1 November 2026/);
  expect(await said('Last trial restore')).toMatch(/failed$/);
  expect(screen.getByText(/do not reach the place of backups/)).toBeVisible();
});
