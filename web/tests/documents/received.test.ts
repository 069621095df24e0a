import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { desksOf } from '../../src/documents/received';
import ReceivedPage from '../../src/documents/ReceivedPage.svelte';
import { setLanguage } from '../../src/i18n/language.svelte';
import { loadSession } from '../../src/session.svelte';
import { pages } from '../../src/ui/pages';
import { network, person, problem, type Reply, type Sent } from '../network';

const SCHOOL = '0197aaaa-0000-7000-8000-000000000051';
const LIST = `GET /api/v1/organisations/${SCHOOL}/documents`;
const role = (name: string, kind: 'school' | 'clinic', id = SCHOOL) => ({
  role: name,
  organisation_id: id,
  organisation_name: 'Гимназия 2',
  organisation_kind: kind,
});

const paper = (n: number, more: object = {}) => ({
  id: `0197aaaa-0000-7000-8000-00000000010${n}`,
  kind: 'certificate',
  number: `2026-00000${n}`,
  signed_on: '2026-03-02',
  state: 'signed',
  person: { id: '0197aaaa-0000-7000-8000-000000000061', name: 'Алсу Галиева' },
  issuer: { id: '0197aaaa-0000-7000-8000-000000000062', name: 'Поликлиника 7' },
  printed: true,
  given_at: '2026-03-03T09:00:00Z',
  answered_at: null,
  accepted: null,
  ...more,
});

async function show(replies: Record<string, Reply | Reply[]>, roles = [role('clerk', 'school')]) {
  const sent = network({
    'GET /api/v1/me': { body: { ...person, language: 'en', roles } },
    ...replies,
  });
  await loadSession();
  render(ReceivedPage, { id: '' });
  return sent;
}

const list = (documents: object[], more = false): Reply => ({ body: { documents, more } });
const answers = (sent: Sent[]) =>
  sent.filter(({ path }) => path.endsWith('/answer')).map(({ body }) => JSON.parse(body) as object);
const articles = () => screen.findAllByRole('article');

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('is the desk of whoever administers a school or sits in its office', () => {
  const me = (...roles: object[]) => ({ ...person, roles }) as never;
  const school = [{ id: SCHOOL, name: 'Гимназия 2' }];
  expect(desksOf(me(role('clerk', 'school'), role('administrator', 'school')))).toEqual(school);
  expect(desksOf(me(role('clerk', 'clinic')))).toEqual([]);
  expect(desksOf(me(role('teacher', 'school')))).toEqual([]);
  expect(desksOf(null)).toEqual([]);
});

it('is in the menu of those people and of nobody else', () => {
  const links = (...roles: object[]) => pages({ ...person, roles } as never).map((one) => one.href);
  expect(links(role('clerk', 'school'))).toContain('#/received');
  expect(links(role('administrator', 'school'))).toContain('#/received');
  expect(links(role('administrator', 'clinic'), role('teacher', 'school'))).not.toContain(
    '#/received',
  );
});

it('shows what was signed and the verdict on it, when asked for', async () => {
  const file = { body: { content: { absent_from: '2026-03-02', absent_until: '2026-03-06' } } };
  const { id } = paper(1);
  const sent = await show({
    [LIST]: list([paper(1)]),
    [`GET /api/v1/deliveries/${id}/file`]: { body: file },
    'POST /api/v1/verify/file': { body: { state: 'revoked' } },
  });
  const [first] = await articles();
  expect(sent.some(({ path }) => path.endsWith('/file'))).toBe(false);
  await userEvent.click(within(first!).getByRole('button', { name: 'Show and verify' }));
  const form = await screen.findByTestId('form');
  expect(form).toHaveAttribute('data-state', 'revoked');
  expect(form).toHaveTextContent('2 March 2026');
  expect(form).toHaveTextContent('6 March 2026');
  const judged = sent.find(({ path }) => path === '/api/v1/verify/file');
  expect(atob((JSON.parse(judged!.body) as { file: string }).file)).toBe(JSON.stringify(file));
});

it('shows no word of a forged paper', async () => {
  const { id } = paper(1);
  await show({
    [LIST]: list([paper(1)]),
    [`GET /api/v1/deliveries/${id}/file`]: {
      body: { body: { content: { absent_from: '2026-03-02' } } },
    },
    'POST /api/v1/verify/file': { body: { state: 'forged' } },
  });
  await userEvent.click(await screen.findByRole('button', { name: 'Show and verify' }));
  const form = await screen.findByTestId('form');
  expect(form).toHaveAttribute('data-state', 'forged');
  expect(form).not.toHaveTextContent('March');
});

it('acknowledges one, refuses another with a reason, and asks for neither again', async () => {
  const [one, two] = [paper(1), paper(2)];
  const sent = await show({
    [LIST]: list([one, two]),
    [`POST /api/v1/deliveries/${one.id}/answer`]: { status: 204 },
    [`POST /api/v1/deliveries/${two.id}/answer`]: { status: 204 },
  });
  const [first, second] = await articles();
  await userEvent.click(within(first!).getByRole('button', { name: 'Confirm receipt' }));
  expect(await within(first!).findByText(/^Acknowledged/)).toBeVisible();
  await userEvent.click(within(second!).getByRole('button', { name: 'Refuse' }));
  const dialog = within(await screen.findByRole('dialog'));
  expect(dialog.getByRole('button', { name: 'Refuse' })).toBeDisabled();
  await userEvent.type(dialog.getByLabelText('Reason for refusing'), 'Not our pupil');
  await userEvent.click(dialog.getByRole('button', { name: 'Refuse' }));
  expect(await within(second!).findByText(/^Refused/)).toBeVisible();
  expect(screen.queryByRole('dialog')).toBeNull();
  expect(answers(sent)).toEqual([
    { accepted: true, reason: '' },
    { accepted: false, reason: 'Not our pupil' },
  ]);
  expect(screen.queryByRole('button', { name: 'Confirm receipt' })).toBeNull();
});

it('says why an answer was not taken, and keeps the paper unanswered', async () => {
  await show({
    [LIST]: list([paper(1)]),
    [`POST /api/v1/deliveries/${paper(1).id}/answer`]: problem(409, 'delivery_answered'),
  });
  await userEvent.click(await screen.findByRole('button', { name: 'Confirm receipt' }));
  expect(await screen.findByRole('alert')).toBeVisible();
  expect(screen.getByRole('button', { name: 'Confirm receipt' })).toBeVisible();
});

it('shows older papers behind the newest, a page at a time', async () => {
  const sent = await show({ [LIST]: [list([paper(1)], true), list([paper(2)])] });
  await userEvent.click(await screen.findByRole('button', { name: 'Show more' }));
  expect(await screen.findAllByRole('article')).toHaveLength(2);
  expect(screen.queryByRole('button', { name: 'Show more' })).toBeNull();
  expect(sent.filter(({ path }) => path.endsWith('/documents'))).toHaveLength(2);
});

it('asks nothing for whoever sits at no desk', async () => {
  const sent = await show({}, [role('clerk', 'clinic')]);
  expect(screen.getByText(/seen by its administrator/)).toBeVisible();
  expect(sent.map(({ path }) => path)).toEqual(['/api/v1/me']);
});
