import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import RegisterSection from '../../src/documents/RegisterSection.svelte';
import { setLanguage } from '../../src/i18n/language.svelte';
import { network, problem, type Reply } from '../network';

const ORG = '0197aaaa-0000-7000-8000-000000000051';
const HERE = `/api/v1/organisations/${ORG}`;
const LIST = `GET ${HERE}/documents/issued`;
const FIND = `GET ${HERE}/register`;

const issued = (n: number, more: object = {}) => ({
  id: `0197aaaa-0000-7000-8000-00000000010${n}`,
  number: `2026-00000${n}`,
  kind: 'conclusion',
  state: 'signed',
  version: 1,
  signer: { id: '0197aaaa-0000-7000-8000-000000000061', name: 'Амина Хасан' },
  signed_at: '2026-03-02T09:00:00Z',
  ended_at: null,
  ...more,
});
const whole = (n: number) => ({
  ...issued(n),
  subject: { id: '0197aaaa-0000-7000-8000-000000000071', name: 'Алсу Галиева' },
  organisation: { id: ORG, name: 'Поликлиника 7' },
  made_at: '2026-03-02T08:00:00Z',
});
const revoked = (n: number) => ({
  ...whole(n),
  state: 'revoked',
  untrusted: false,
  ended_at: '2026-03-09T10:00:00Z',
});
const list = (documents: object[], more = false): Reply => ({ body: { documents, more } });

function show(replies: Record<string, Reply | Reply[]>) {
  const sent = network(replies);
  render(RegisterSection, { org: ORG });
  return sent;
}

const button = (number: string) =>
  screen.findByRole('button', { name: `Revoke document No. ${number}` });

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('says whose a paper is only to who is about to revoke it', async () => {
  const sent = show({
    [LIST]: list([issued(1, { untrusted: true }), issued(2, { state: 'revoked' })]),
    [FIND]: { body: [whole(1)] },
    [`POST /api/v1/documents/${issued(1).id}/revoke`]: { body: revoked(1) },
  });
  const rows = await screen.findAllByRole('article');
  expect(rows).toHaveLength(2);
  expect(within(rows[0]!).getByText('Not to be trusted')).toBeVisible();
  expect(document.body).not.toHaveTextContent('Алсу');
  expect(sent.map(({ path }) => path)).toEqual([`${HERE}/documents/issued`]);
  await userEvent.click(await button('2026-000001'));
  const dialog = within(await screen.findByRole('dialog'));
  expect(await dialog.findByText('About: Алсу Галиева')).toBeVisible();
  const go = dialog.getByRole('button', { name: 'Revoke' });
  expect(go).toBeDisabled();
  await userEvent.type(dialog.getByLabelText(/^Reason for revoking/), 'Signed by mistake');
  await userEvent.click(go);
  expect(await within(rows[0]!).findByText('Revoked')).toBeVisible();
  expect(screen.queryByRole('dialog')).toBeNull();
  expect(screen.queryByRole('button', { name: /^Revoke document/ })).toBeNull();
  expect(JSON.parse(sent.at(-1)!.body)).toEqual({ reason: 'Signed by mistake' });
});

it('keeps the dialog and its reason when the revoking is refused', async () => {
  show({
    [LIST]: list([issued(1)]),
    [FIND]: { body: [whole(1)] },
    [`POST /api/v1/documents/${issued(1).id}/revoke`]: problem(409, 'document_not_signed', {
      params: { state: 'superseded' },
    }),
  });
  await userEvent.click(await button('2026-000001'));
  const dialog = within(await screen.findByRole('dialog'));
  await dialog.findByText('About: Алсу Галиева');
  const reason = dialog.getByRole('textbox');
  await userEvent.type(reason, 'Signed by mistake');
  await userEvent.click(dialog.getByRole('button', { name: 'Revoke' }));
  expect(await dialog.findByRole('alert')).toBeVisible();
  expect(reason).toHaveValue('Signed by mistake');
});

it('finds a paper by its number, and says when there is none', async () => {
  const sent = show({
    [LIST]: list([issued(1), issued(2)]),
    [FIND]: [{ body: [] }, { body: [whole(2)] }],
  });
  await screen.findAllByRole('article');
  const number = screen.getByLabelText('Number of a document');
  await userEvent.type(number, '12');
  await userEvent.click(screen.getByRole('button', { name: 'Find' }));
  expect(screen.getByText('A number looks like 2026-000012.')).toBeVisible();
  expect(sent).toHaveLength(1);
  await userEvent.clear(number);
  await userEvent.type(number, '2026-000009');
  await userEvent.click(screen.getByRole('button', { name: 'Find' }));
  expect(await screen.findByText(/no document No\. 2026-000009/)).toBeVisible();
  await userEvent.clear(number);
  await userEvent.type(number, '2026-000002');
  await userEvent.click(screen.getByRole('button', { name: 'Find' }));
  await screen.findByRole('button', { name: 'Show all' });
  expect(screen.getAllByRole('article')).toHaveLength(1);
  await userEvent.click(screen.getByRole('button', { name: 'Show all' }));
  expect(screen.getAllByRole('article')).toHaveLength(2);
});
