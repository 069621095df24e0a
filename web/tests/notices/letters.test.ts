import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, it } from 'vitest';
import LettersSection from '../../src/admin/LettersSection.svelte';
import '../../src/i18n/admin';
import { setLanguage } from '../../src/i18n/language.svelte';
import { network, problem } from '../network';

const ORG = '0197aaaa-0000-7000-8000-000000000077';
const LIST = `/api/v1/organisations/${ORG}/letters`;
const letter = {
  id: 7,
  name: 'people.deliver_notices',
  attempts: 10,
  code: 'SMTPConnectError',
  first_at: '2026-03-01T09:00:00Z',
  last_at: '2026-03-01T09:17:00Z',
  own: true,
};

beforeEach(() => setLanguage('en'));

it('shows what failed, how often and why, and has it tried again', async () => {
  const sent = network({
    [`GET ${LIST}`]: { body: [letter] },
    [`POST ${LIST}/7/retry`]: [problem(404, 'not_found'), { status: 204 }],
  });
  render(LettersSection, { org: ORG });
  expect(await screen.findByRole('heading', { name: 'Tell somebody of a notice' })).toBeVisible();
  expect(screen.getByText('10 tries')).toBeVisible();
  expect(screen.getByText('Reason: SMTPConnectError')).toBeVisible();
  const again = screen.getByRole('button', { name: 'Try again' });
  await userEvent.click(again);
  expect(await screen.findByRole('alert')).toBeVisible();
  await userEvent.click(screen.getAllByRole('button', { name: 'Try again' }).at(-1)!);
  expect(await screen.findByText(/no work has failed/i)).toBeVisible();
  expect(sent.filter((one) => one.method === 'POST')).toHaveLength(2);
});

it('drops only what is the organisation’s own, and only after a second word', async () => {
  const house = { ...letter, id: 8, name: 'x.y', own: false };
  const sent = network({
    [`GET ${LIST}`]: { body: [letter, house] },
    [`DELETE ${LIST}/7`]: { status: 204 },
  });
  render(LettersSection, { org: ORG });
  const drop = await screen.findAllByRole('button', { name: 'Drop' });
  expect(drop).toHaveLength(1);
  await userEvent.click(drop[0]!);
  expect(sent.filter((one) => one.method === 'DELETE')).toEqual([]);
  const buttons = screen.getAllByRole('button', { name: 'Drop' });
  await userEvent.click(buttons.at(-1)!);
  await waitFor(() => expect(screen.queryByText('10 tries')).toBeVisible());
  expect(sent.filter((one) => one.method === 'DELETE').map((one) => one.path)).toEqual([
    `${LIST}/7`,
  ]);
  expect(screen.getByText('Work of the server (x.y)')).toBeVisible();
});
