import { cleanup, fireEvent, render, screen, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import ErasuresSection from '../../src/erasures/ErasuresSection.svelte';
import '../../src/i18n/admin';
import '../../src/i18n/erasures';
import { keptFor, sameName } from '../../src/erasures/rest';
import { setLanguage } from '../../src/i18n/language.svelte';
import { network, problem, type Reply } from '../network';

const ORG = '0197aaaa-0000-7000-8000-0000000000c1';
const WHO = '0197aaaa-0000-7000-8000-000000000031';
const REQUEST = '0197aaaa-0000-7000-8000-0000000000e1';
const ROOT = `/api/v1/organisations/${ORG}`;
const rinat = { id: WHO, name: 'Rinat Galiev' };

const request = {
  id: REQUEST,
  person: rinat,
  reason: 'asked',
  asked_at: '2026-03-01T09:00:00Z',
  until: '2026-03-31T09:00:00Z',
  state: 'open',
  ours: false,
  keepers: 0,
  agreed: 0,
  answer: null,
  why: null,
};
const hold = {
  id: '0197aaaa-0000-7000-8000-0000000000f1',
  person: rinat,
  reason: 'Case 2-17',
  set_by: { id: ORG, name: 'Gulnara' },
  set_at: '2026-03-01T09:00:00Z',
  until: null,
  lifted_at: null,
  holds: true,
};
const plan = { person: rinat, against: [], keepers: 0, agreed: 0, erased: false };

function desk(more: Record<string, Reply | Reply[]> = {}) {
  return network({
    [`GET ${ROOT}/erasure-requests`]: { body: [] },
    [`GET ${ROOT}/holds`]: { body: [] },
    [`GET ${ROOT}/erasures`]: { body: [] },
    [`GET ${ROOT}/retention`]: {
      body: [
        { name: 'health', days: null, years: 25 },
        { name: 'audit', days: null, years: null },
        { name: 'sessions', days: 90, years: null },
      ],
    },
    [`GET ${ROOT}/people`]: {
      body: { people: [{ ...rinat, born_on: null, hats: [], let_go_at: null }], kind: 'clinic' },
    },
    [`GET ${ROOT}/people/${WHO}/erasure`]: { body: plan },
    ...more,
  });
}

/** Finds the person by name, as an administrator does. */
async function find(): Promise<void> {
  const field = await screen.findByLabelText('Who it is about', { selector: 'input' });
  await fireEvent.input(field, { target: { value: 'Galiev' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Find' }));
  await screen.findByRole('heading', { level: 3, name: 'Rinat Galiev' });
}

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('erases after it was told what goes and whose name was typed', async () => {
  const sent = desk({ [`POST ${ROOT}/erasures`]: { status: 201, body: {} } });
  render(ErasuresSection, { org: ORG });
  await find();
  await screen.findByText('Nothing stands against erasing these data.');
  await fireEvent.click(screen.getByRole('button', { name: 'Erase the data…' }));
  const dialog = within(screen.getByRole('dialog'));
  dialog.getByText(/the key is destroyed, and nobody can read them/);
  const name = dialog.getByLabelText(/type the name as it stands here: Rinat Galiev/);
  await fireEvent.input(name, { target: { value: 'Rinat' } });
  await fireEvent.click(dialog.getByRole('button', { name: 'Erase for good' }));
  await screen.findByText('That is another name.');
  expect(sent.filter(({ method }) => method === 'POST')).toEqual([]);

  await fireEvent.input(name, { target: { value: ' rinat  galiev ' } });
  await fireEvent.click(dialog.getByRole('button', { name: 'Erase for good' }));
  await vi.waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  const [post] = sent.filter(({ method }) => method === 'POST');
  expect(JSON.parse(post!.body)).toEqual({ person_id: WHO, reason: 'asked' });
});

it('says what stands against it and where that is done away with', async () => {
  desk({
    [`GET ${ROOT}/people/${WHO}/erasure`]: {
      body: { ...plan, against: ['held', 'employed', 'guardian', 'something_new'], keepers: 1 },
    },
  });
  render(ErasuresSection, { org: ORG });
  await find();
  await screen.findByText('These data cannot be erased now');
  expect(screen.getByRole('link', { name: 'To roles' })).toHaveAttribute(
    'href',
    `#/admin/${ORG}/roles`,
  );
  expect(screen.getByRole('link', { name: 'To guardians' })).toHaveAttribute(
    'href',
    `#/admin/${ORG}/guardians`,
  );
  screen.getByText(/another reason that this page does not know/);
  expect(screen.queryByRole('button', { name: /Erase|Ask/ })).toBeNull();
});

it('asks the others when only their word is missing', async () => {
  const sent = desk({
    [`GET ${ROOT}/people/${WHO}/erasure`]: {
      body: { ...plan, against: ['elsewhere', 'records_elsewhere'], keepers: 2, agreed: 1 },
    },
    [`POST ${ROOT}/erasure-requests`]: { status: 201, body: request },
  });
  render(ErasuresSection, { org: ORG });
  await find();
  await screen.findByText('Agreed: 1 of 2');
  await fireEvent.click(screen.getByRole('button', { name: 'Ask for agreement…' }));
  const dialog = within(screen.getByRole('dialog'));
  dialog.getByText(/\(in all: 2\)/);
  await fireEvent.input(dialog.getByLabelText(/type the name/), {
    target: { value: 'Rinat Galiev' },
  });
  await fireEvent.click(dialog.getByRole('button', { name: 'Send the request' }));
  await vi.waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  expect(sent.filter(({ method }) => method === 'POST').map(({ path }) => path)).toEqual([
    `${ROOT}/erasure-requests`,
  ]);
});

it('agrees in two steps, and refuses with a reason', async () => {
  const path = `POST ${ROOT}/erasure-requests/${REQUEST}/answer`;
  const sent = desk({
    [`GET ${ROOT}/erasure-requests`]: { body: [request] },
    [path]: [problem(409, 'erasure_request_over'), { body: request }],
  });
  render(ErasuresSection, { org: ORG });
  await fireEvent.click(await screen.findByRole('button', { name: 'Agree…' }));
  expect(sent.some(({ method }) => method === 'POST')).toBe(false);
  await fireEvent.click(screen.getByRole('button', { name: 'Agree, and erase for good' }));
  await screen.findByText('This request is closed already.');
  cleanup();
  render(ErasuresSection, { org: ORG });
  await fireEvent.click(await screen.findByRole('button', { name: 'Refuse…' }));
  await fireEvent.change(screen.getByLabelText('Why you refuse'), { target: { value: 'dispute' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Refuse' }));
  await vi.waitFor(() => expect(sent.filter(({ method }) => method === 'POST')).toHaveLength(2));
  expect(
    sent.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(body) as unknown),
  ).toEqual([
    { answer: 'agreed', why: null },
    { answer: 'refused', why: 'dispute' },
  ]);
});

it('lifts a hold after asking, and shows what is unfinished or not in the log', async () => {
  const sent = desk({
    [`GET ${ROOT}/holds`]: [{ body: [hold] }, { body: [{ ...hold, holds: false }] }],
    [`GET ${ROOT}/erasures`]: {
      body: [
        {
          person_id: WHO,
          name: 'Rinat Galiev',
          reason: 'court',
          erased_at: '2026-03-01T09:00:00Z',
          done: false,
          logged: true,
          unfinished: true,
        },
        {
          person_id: ORG,
          name: '№ 00c1',
          reason: 'asked',
          erased_at: '2026-02-01T09:00:00Z',
          done: true,
          logged: false,
          unfinished: false,
        },
      ],
    },
    [`POST ${ROOT}/holds/${hold.id}/lift`]: { status: 204 },
  });
  render(ErasuresSection, { org: ORG });
  await screen.findByText(/Unfinished: the server broke off/);
  screen.getByText(/Not in the log of erasures/);
  await fireEvent.click(screen.getByRole('button', { name: 'Lift the hold' }));
  expect(sent.some(({ method }) => method === 'POST')).toBe(false);
  await fireEvent.click(screen.getByRole('button', { name: 'Yes, lift it' }));
  await screen.findByText('No longer in force');
});

it('lets a question be closed again, and keeps the focus where it was', async () => {
  desk({
    [`GET ${ROOT}/holds`]: { body: [hold] },
    [`GET ${ROOT}/erasure-requests`]: { body: [request] },
  });
  render(ErasuresSection, { org: ORG });
  const press = async (name: string): Promise<void> => {
    const button = await screen.findByRole('button', { name });
    button.focus();
    await fireEvent.click(button);
    expect(button).toHaveFocus();
  };
  await press('Lift the hold');
  screen.getByRole('button', { name: 'Yes, lift it' });
  await press('Lift the hold');
  expect(screen.queryByRole('button', { name: 'Yes, lift it' })).toBeNull();
  await press('Refuse…');
  await press('Agree…');
  expect(screen.queryByLabelText('Why you refuse')).toBeNull();
  await press('Agree…');
  expect(screen.queryByRole('button', { name: 'Agree, and erase for good' })).toBeNull();
});

it('gives the focus back when a dialog is closed', async () => {
  desk();
  render(ErasuresSection, { org: ORG });
  await find();
  const opener = screen.getByRole('button', { name: 'Forbid deleting…' });
  opener.focus();
  await fireEvent.click(opener);
  const reason = within(screen.getByRole('dialog')).getAllByRole('textbox')[0];
  expect(reason).toHaveFocus();
  await fireEvent.click(screen.getByRole('button', { name: 'Close' }));
  expect(opener).toHaveFocus();
});

it('says how long what is kept', () => {
  expect(keptFor({ name: 'health', days: null, years: 25 })).toBe('25 years after the last entry');
  expect(keptFor({ name: 'codes', days: 1, years: null })).toBe('after 1 day');
  expect(keptFor({ name: 'audit', days: null, years: null })).toBe('never for its age');
  expect(sameName('ринат  ГАЛИЕВ', 'Ринат Галиев')).toBe(true);
  expect(sameName('Ринат', 'Ринат Галиев')).toBe(false);
});
