import { render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
import RecordPage from '../../src/records/RecordPage.svelte';

const ID = '0197aaaa-0000-7000-8000-000000000031';
const record = {
  person: { id: ID, name: 'Rinat Galiev' },
  way: 'guardian',
  fields: ['identity', 'readings', 'visits'],
  organisation: null,
  until: null,
  opened_by: null,
  born_on: '1980-05-17',
  readings: [],
  visits: [],
};

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('is asked for once: each look leaves a row in the audit', async () => {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith(ID)) asked.push(pathname);
    // A page that asks without end would otherwise keep the test from ever saying so.
    if (asked.length > 3) await new Promise(() => undefined);
    return Response.json(record);
  });
  render(RecordPage, { id: ID });
  const title = await screen.findByRole('heading', { level: 1, name: 'Rinat Galiev' });
  // Whatever the answer set off has had its turn.
  for (let turn = 0; turn < 20; turn += 1) await new Promise((done) => setTimeout(done, 0));
  expect(title).toBeInTheDocument();
  expect(asked).toHaveLength(1);
});
