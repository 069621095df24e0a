import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
import GuardiansSection from '../../src/admin/GuardiansSection.svelte';
import '../../src/i18n/admin';
import { network } from '../network';

const ORG = '0197aaaa-0000-7000-8000-0000000000a1';
const AT = `/api/v1/organisations/${ORG}`;
const id = (n: number): string => `0197aaaa-0000-7000-8000-${String(n).padStart(12, '0')}`;
const tie = (n: number) => ({
  id: id(n),
  child: { id: id(1000 + n), name: `Child ${n}` },
  guardian: { id: id(2000 + n), name: `Guardian ${n}` },
  age: 9,
  state: 'live',
  asked_at: '2026-03-02T09:00:00Z',
  confirmed_at: '2026-03-02T09:00:00Z',
  to_confirm: false,
  limits: [],
});
const one = (n: number, name: string) => ({
  id: id(n),
  name,
  born_on: '2017-05-04',
  source_id: null,
  hats: [],
  let_go_at: null,
  account_closed: false,
});
const people = (...found: object[]) => ({
  body: { people: found, count: found.length, organisation_kind: 'school', next: null },
});

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('shows thirty guardianships of a school, more when asked, and those of a name', async () => {
  const ties = Array.from({ length: 70 }, (_, n) => tie(n + 1));
  network({ [`GET ${AT}/guardianships`]: { body: ties } });
  render(GuardiansSection, { org: ORG });
  expect(await screen.findAllByRole('heading', { level: 3 })).toHaveLength(30);
  await userEvent.click(screen.getByRole('button', { name: 'Show more' }));
  expect(screen.getAllByRole('heading', { level: 3 })).toHaveLength(60);
  await userEvent.type(screen.getByLabelText('Name of a child or a guardian'), 'guardian 64');
  expect(screen.getByRole('heading', { level: 3 })).toHaveTextContent('Child 64');
});

it('appoints a guardian for a child, both found by name', async () => {
  const sent = network({
    [`GET ${AT}/guardianships`]: { body: [] },
    [`GET ${AT}/people`]: [people(one(1, 'Aidar Valiev')), people(one(2, 'Damir Valiev'))],
    [`POST ${AT}/guardianships`]: { status: 201, body: { id: id(7) } },
  });
  render(GuardiansSection, { org: ORG });
  await userEvent.click(await screen.findByRole('button', { name: 'Appoint a guardian' }));
  const dialog = within(await screen.findByRole('dialog'));
  const appoint = dialog.getByRole('button', { name: 'Appoint' });
  for (const [who, name] of [
    ['Child', 'aidar'],
    ['Guardian', 'damir'],
  ] as const) {
    const group = within(dialog.getByRole('group', { name: who }));
    expect(appoint).toBeDisabled();
    await userEvent.type(group.getByRole('textbox'), `${name}{Enter}`);
    await group.findByRole('combobox');
  }
  await userEvent.click(appoint);
  const asked = sent.find(({ method }) => method === 'POST');
  expect(JSON.parse(asked?.body ?? '')).toEqual({ child_id: id(1), guardian_id: id(2) });
});
