import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import App from '../src/App.svelte';
import { setLanguage } from '../src/i18n/language.svelte';
import { replace } from '../src/place.svelte';
import { network, person, problem, type Reply } from './network';

const ORG = '0197aaaa-0000-7000-8000-0000000000a1';
const OTHER = '0197aaaa-0000-7000-8000-0000000000a2';
const ANNA = '0197aaaa-0000-7000-8000-000000000011';
const AT = `/api/v1/organisations/${ORG}`;

const role = { role: 'administrator', organisation_id: ORG, organisation_name: 'Gymnasium 2' };
const anna = {
  id: ANNA,
  name: 'Anna Kovaleva',
  born_on: '1990-04-02',
  source_id: '17',
  hats: [{ kind: 'duty', since: '2026-01-01T00:00:00Z', class_id: null, class_name: null }],
  let_go_at: null,
  account_closed: false,
};
const list = { people: [anna], count: 1, organisation_kind: 'school', next: null };
const report = {
  stored: false,
  encoding: 'utf-8',
  rows: 3,
  new: 2,
  same: 0,
  changed: 0,
  left_out: 0,
  guardians: 2,
  bad_count: 1,
  bad: [{ file: '', line: 3, field: 'family_name', code: 'letters_lost' }],
  classes: ['7А'],
};
const board = {
  at: '2026-03-02T09:00:00Z',
  lessons: [
    {
      lesson: {
        id: ANNA,
        title: 'Fractions',
        class_name: '7А',
        teacher: 'Anna Kovaleva',
        opened_at: '2026-03-02T08:30:00Z',
        recorded: true,
      },
      people: [{ id: ANNA, name: 'Anna Kovaleva', side: 'teacher', heard: true, seen: true }],
      failed_joins: 2,
    },
  ],
  visits: { open: 0, people: 0, failed_joins: 0 },
  media: { transports: 4, packets_in: 900, packets_out: 980, lost: 20, resent: 7 },
  failed_jobs: 3,
  disk: { free_bytes: 2e9, total_bytes: 100e9 },
  backups: { made_at: null, drilled_at: null, drill_passed: false, log_behind: false },
};

const open = (section: string, replies: Record<string, Reply | Reply[]>) => {
  replace(`#/admin/${ORG}${section && `/${section}`}`);
  const me = { ...person, language: 'en', roles: [role], staff: true };
  const sent = network({ 'GET /api/v1/me': { body: me }, ...replies });
  render(App);
  return sent;
};
const routes = (sent: { method: string; path: string }[]) =>
  sent.map(({ method, path }) => `${method} ${path}`);

// The page comes when it is first entered; a busy machine needs longer than a test waits for a word.
beforeAll(() => import('../src/admin/AdminPage.svelte'));
beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('leads from section to section, and is not there for others', async () => {
  open('', { [`GET ${AT}/people`]: { body: list } });
  const links = within(await screen.findByRole('navigation', { name: 'Sections' }));
  expect(links.getByRole('link', { name: 'People' })).toHaveAttribute('aria-current', 'page');
  expect(links.getByRole('link', { name: 'Right now' })).toHaveAttribute(
    'href',
    `#/admin/${ORG}/board`,
  );
  replace(`#/admin/${OTHER}`);
  await waitFor(() => expect(screen.queryByRole('navigation', { name: 'Sections' })).toBeNull());
});

it('gives and takes a hat, and says why it may not be', async () => {
  const hat = `${AT}/people/${ANNA}/hats`;
  const sent = open('people', {
    [`GET ${AT}/people`]: { body: list },
    [`PUT ${hat}/administration`]: { status: 204 },
    [`DELETE ${hat}/duty`]: problem(409, 'last_administrator'),
  });
  const user = userEvent.setup();
  expect(await screen.findByText('Teacher')).toBeVisible();
  await user.click(screen.getByRole('button', { name: /Change.*Anna Kovaleva/ }));
  await user.click(screen.getByRole('button', { description: 'Teacher' }));
  expect(await screen.findByText(/last administrator/)).toBeVisible();
  expect(screen.queryByText('Patient')).toBeNull();
  await user.click(screen.getByRole('button', { description: 'Administrator' }));
  await waitFor(() => expect(routes(sent).at(-1)).toBe(`GET ${AT}/people`));
  expect(routes(sent)).toContain(`PUT ${hat}/administration`);
});

it('lets somebody go only at a second word', async () => {
  const sent = open('people', {
    [`GET ${AT}/people`]: { body: list },
    [`DELETE ${AT}/people/${ANNA}`]: { status: 204 },
  });
  const user = userEvent.setup();
  await user.click(await screen.findByRole('button', { name: /Change.*Anna Kovaleva/ }));
  await user.click(screen.getByRole('button', { name: 'Let go' }));
  expect(routes(sent)).not.toContain(`DELETE ${AT}/people/${ANNA}`);
  await user.click(screen.getByRole('button', { name: 'Yes, let go' }));
  await waitFor(() => expect(routes(sent)).toContain(`DELETE ${AT}/people/${ANNA}`));
});

it('takes a lost second step away only at a second word, and says who may not', async () => {
  const reset = `POST ${AT}/people/${ANNA}/reset-factors`;
  const sent = open('people', {
    [`GET ${AT}/people`]: { body: list },
    [reset]: [problem(409, 'staff_elsewhere'), { status: 204 }],
  });
  const user = userEvent.setup();
  await user.click(await screen.findByRole('button', { name: /Change.*Anna Kovaleva/ }));
  await user.click(screen.getByRole('button', { name: 'Take away the second step' }));
  expect(routes(sent)).not.toContain(reset);
  await user.click(screen.getByRole('button', { name: 'Yes, take it away' }));
  expect(await screen.findByText(/works in another organisation as well/)).toBeVisible();
  await user.click(screen.getByRole('button', { name: 'Yes, take it away' }));
  await waitFor(() => expect(routes(sent).filter((route) => route === reset)).toHaveLength(2));
});

it('asks whether a possible double is another person', async () => {
  const sent = open('people', {
    [`GET ${AT}/people`]: { body: list },
    [`POST ${AT}/people`]: [problem(409, 'possible_double'), { status: 201, body: { id: ANNA } }],
  });
  const user = userEvent.setup();
  await screen.findByText('Teacher');
  await user.click(screen.getByRole('button', { name: 'Add a person' }));
  await user.type(screen.getByLabelText('Given name'), 'Oleg');
  await user.type(screen.getByLabelText('Family name'), 'Kim');
  await user.click(screen.getByRole('button', { name: 'Add' }));
  await user.click(await screen.findByRole('button', { name: 'It is another person, add' }));
  await waitFor(() => expect(screen.queryByLabelText('Given name')).toBeNull());
  const bodies = sent.filter(({ method }) => method === 'POST').map(({ body }) => body);
  expect(bodies.map((body) => (JSON.parse(body) as { surely_new: boolean }).surely_new)).toEqual([
    false,
    true,
  ]);
});

it('shows the bad rows of a list before anything is stored', async () => {
  const imports = `POST ${AT}/imports`;
  const sent = open('import', {
    [imports]: [{ body: report }, { body: { ...report, stored: true } }],
  });
  const user = userEvent.setup();
  const file = new File(['a;b'], 'school.csv', { type: 'text/csv' });
  await user.upload(await screen.findByLabelText('Choose a file'), file);
  const row = within(await screen.findByRole('table')).getAllByRole('row')[1];
  expect(row).toHaveTextContent(/3.*Family name.*save the file as UTF-8/);
  expect(screen.queryByRole('button', { name: 'Store everybody' })).toBeNull();
  await user.click(screen.getByRole('button', { name: /^Skip these rows/ }));
  expect(await screen.findByRole('link', { name: 'To the cards' })).toBeVisible();
  expect(screen.getByText('Guardians to confirm').parentElement).toHaveTextContent(/2$/);
  expect(screen.getByRole('link', { name: 'To the guardians' })).toHaveAttribute(
    'href',
    `#/admin/${ORG}/guardians`,
  );
  expect(routes(sent).filter((route) => route === imports)).toHaveLength(2);
});

it('says why a file is no list', async () => {
  const refused = problem(422, 'roster_refused', {
    errors: [{ field: '', code: 'encoding_mixed', params: {} }],
  });
  open('import', { [`POST ${AT}/imports`]: refused });
  const file = new File(['a;b'], 'school.csv', { type: 'text/csv' });
  await userEvent.setup().upload(await screen.findByLabelText('Choose a file'), file);
  expect(await screen.findByText(/Two encodings are mixed/)).toBeVisible();
});

it('shows what happens now, and says when that is old', async () => {
  open('board', { [`GET ${AT}/board`]: [{ body: board }, { down: true }] });
  expect(await screen.findByText('Class 7А, teacher Anna Kovaleva')).toBeVisible();
  expect(screen.getByText('Being recorded')).toBeVisible();
  expect(screen.getByText(/Failed to join within the hour: 2/)).toBeVisible();
  expect(screen.getByText('2 % (20)')).toBeVisible();
  expect(screen.getByText(/Little space/)).toBeVisible();
  document.dispatchEvent(new Event('visibilitychange'));
  expect(await screen.findByText(/No connection/)).toBeVisible();
});
