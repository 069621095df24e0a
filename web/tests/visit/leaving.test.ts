import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import App from '../../src/App.svelte';
import { setLanguage } from '../../src/i18n/language.svelte';
import { replace } from '../../src/place.svelte';
import { network, person, problem, type Reply, type Sent } from '../network';

const ID = '0197aaaa-0000-7000-8000-000000000007';
const visit = {
  id: ID,
  starts_at: new Date(Date.now() - 600_000).toISOString(),
  ends_at: new Date(Date.now() + 600_000).toISOString(),
  state: 'closed',
  my_side: 'doctor',
  other: { id: 'o', name: 'Амина Галиева' },
  organisation: { id: 'c', name: 'Айболит' },
};
const AWAY = problem(503, 'stores_away');

/** The server's answer to asking for a ticket, when a test gives it. */
let refuseTicket: () => void;

/** The app on the visit's page, come to from the person's day. */
const open = (replies: Record<string, Reply | Reply[]>): Sent[] => {
  replace('#/day');
  history.pushState(null, '', `#/visits/${ID}`);
  replace(`#/visits/${ID}`);
  const sent = network({
    'GET /api/v1/me': { body: { ...person, language: 'en' } },
    'GET /api/v1/day': { body: { date: '2026-03-01', visits: [], lessons: [] } },
    [`GET /api/v1/visits/${ID}/readings`]: { body: [] },
    [`GET /api/v1/visits/${ID}/ecg`]: { body: [] },
    [`GET /api/v1/visits/${ID}/note`]: { body: { text: '', version: 0 } },
    ...replies,
  });
  const asked = fetch;
  vi.stubGlobal('fetch', (request: Request | string) => {
    if (typeof request !== 'string') return asked(request);
    return new Promise((resolve) => {
      refuseTicket = () => resolve(new Response(null, { status: 404 }));
    });
  });
  render(App);
  return sent;
};

// The page comes when it is first entered; a busy machine needs longer than a test waits for a word.
beforeAll(() => import('../../src/visit/VisitPage.svelte'));
beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

const typeNote = async (text: string) =>
  userEvent.type(await screen.findByRole('textbox', { name: 'Doctor’s note' }), text);
const asked = () => screen.findByRole('dialog', { name: 'Leave and lose what is not saved?' });
const press = (name: string) => userEvent.click(screen.getByRole('button', { name }));

describe('leaving the visit for another page', () => {
  const visits = { [`GET /api/v1/visits/${ID}`]: { body: visit } };

  it('asks first while the note is only here, and staying loses nothing', async () => {
    open({ ...visits, [`PUT /api/v1/visits/${ID}/note`]: AWAY });
    await typeNote('Cough');
    await userEvent.click(screen.getByRole('link', { name: 'Back to my day' }));
    expect(within(await asked()).getByTestId('unsent')).toHaveTextContent('the doctor’s note');
    expect(location.hash).toBe(`#/visits/${ID}`);
    await press('Stay');
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(screen.getByRole('textbox', { name: 'Doctor’s note' })).toHaveValue('Cough');
  });

  it('by the browser’s Back asks too, and goes when told to', async () => {
    open({ ...visits, [`PUT /api/v1/visits/${ID}/note`]: AWAY });
    await typeNote('Cough');
    history.back();
    await asked();
    expect(location.hash).toBe(`#/visits/${ID}`);
    await press('Leave and lose it');
    expect(await screen.findByRole('heading', { level: 1, name: 'Today' })).toBeInTheDocument();
    expect(location.hash).toBe('#/day');
  });

  it('by signing out asks before the session is ended', async () => {
    const sent = open({ ...visits, [`PUT /api/v1/visits/${ID}/note`]: AWAY });
    await typeNote('Cough');
    await press('Menu');
    await press('Sign out');
    await asked();
    expect(sent.some(({ path }) => path.endsWith('/sign-out'))).toBe(false);
  });

  it('goes without a question once the note is saved', async () => {
    const sent = open({
      ...visits,
      [`PUT /api/v1/visits/${ID}/note`]: { body: { text: 'Cough', version: 1 } },
    });
    await typeNote('Cough');
    await userEvent.click(screen.getByRole('link', { name: 'Back to my day' }));
    expect(await screen.findByRole('heading', { level: 1, name: 'Today' })).toBeInTheDocument();
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(sent.find(({ method }) => method === 'PUT')?.body).toContain('Cough');
  });
});

describe('a reading half typed', () => {
  const mine = { ...visit, my_side: 'patient', state: 'open' };
  const visits = {
    [`GET /api/v1/visits/${ID}`]: [{ body: mine }, { body: { ...mine, state: 'closed' } }],
  };

  it('outlives the end of the visit and can still be sent', async () => {
    const sent = open({
      ...visits,
      'POST /api/v1/my/readings': problem(422, 'too_late'),
    });
    await userEvent.type(await screen.findByLabelText('Upper (systolic)'), '128');
    refuseTicket();
    expect(await screen.findByText(/^The visit is over\. What you typed here/)).toBeVisible();
    expect(screen.getByLabelText('Upper (systolic)')).toHaveValue('128');
    await userEvent.type(screen.getByLabelText('Lower (diastolic)'), '82');
    await press('Send to the doctor');
    expect(await screen.findByText(/did not accept this value/)).toBeInTheDocument();
    expect(sent.some(({ path }) => path === '/api/v1/my/readings')).toBe(true);
    expect(screen.getByLabelText('Upper (systolic)')).toHaveValue('128');
  });

  it('is asked for before the page is left', async () => {
    open(visits);
    await userEvent.type(await screen.findByLabelText('Upper (systolic)'), '128');
    await userEvent.click(screen.getByRole('link', { name: 'Back to my day' }));
    expect(within(await asked()).getByTestId('unsent')).toHaveTextContent('begun to type');
  });
});
