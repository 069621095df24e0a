import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import App from '../../src/App.svelte';
import { isoDate } from '../../src/i18n/dates';
import { setLanguage } from '../../src/i18n/language.svelte';
import { replace } from '../../src/place.svelte';
import { network, person, type Reply } from '../network';

const ORG = '0198a000-0000-7000-8000-0000000000b7';
const RINAT = { id: '0198a000-0000-7000-8000-0000000000c1', name: 'Rinat Galiev' };
const AT = `/api/v1/organisations/${ORG}`;
const clerk = { role: 'clerk', organisation_id: ORG, organisation_name: 'Clinic 7' };

const open = (roles: object[], replies: Record<string, Reply> = {}) => {
  replace('#/day');
  const me = { ...person, language: 'en', roles, staff: true };
  const sent = network({
    'GET /api/v1/me': { body: me },
    'GET /api/v1/day': { body: { date: isoDate(new Date()), visits: [], lessons: [] } },
    'GET /api/v1/home': { body: { children: [], step: null, waiting: 0 } },
    'GET /api/v1/assistance': { body: [] },
    'GET /api/v1/notices/unread': { body: { count: 0 } },
    ...replies,
  });
  render(App);
  return sent;
};

// The page comes when it is first entered; a busy machine needs longer than a test waits for a word.
beforeAll(async () => {
  await import('../../src/family/DeskLinks.svelte');
  await import('../../src/family/HomeParts.svelte');
});
beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('lets a clerk give a link to whoever asked for help', async () => {
  const sent = open([clerk], {
    [`GET ${AT}/recoveries`]: {
      body: [{ id: ORG, person: RINAT, asked_at: new Date().toISOString() }],
    },
    [`POST ${AT}/links`]: {
      status: 201,
      body: { secret: 'x'.repeat(22), expires_at: new Date().toISOString(), for_staff: false },
    },
  });
  const user = userEvent.setup();
  await user.click(await screen.findByRole('button', { name: /Rinat Galiev/ }));
  const dialog = within(await screen.findByRole('dialog'));
  expect(await dialog.findByTestId('one-time-link')).toHaveAttribute(
    'data-address',
    expect.stringContaining('#/enter/xxxx'),
  );
  expect(sent.find(({ method }) => method === 'POST')?.body).toBe(
    JSON.stringify({ person_id: RINAT.id }),
  );
});

it('asks nothing of the kind for who sits at no desk', async () => {
  const sent = open([{ ...clerk, role: 'doctor' }]);
  expect(await screen.findByRole('link', { name: /notices/i })).toBeVisible();
  expect(sent.map(({ path }) => path)).not.toContain(`${AT}/recoveries`);
});
