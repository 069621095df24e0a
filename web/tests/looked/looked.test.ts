import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import AuditSection from '../../src/admin/AuditSection.svelte';
import '../../src/i18n/admin';
import '../../src/i18n/looked';
import { setLanguage } from '../../src/i18n/language.svelte';
import LookedPage from '../../src/looked/LookedPage.svelte';
import { actText, hatText, ofVisit, whenText, whoText, type Look } from '../../src/looked/looks';
import { network } from '../network';

const NOW = new Date(2026, 2, 2, 12, 0);
const local = (hour: number, minute: number, day = 2) =>
  new Date(2026, 2, day, hour, minute).toISOString();
const ORG = '0197aaaa-0000-7000-8000-00000000000a';
const VISIT = '0197aaaa-0000-7000-8000-00000000000b';

const look = (changes: Partial<Look> = {}): Look => ({
  kind: 'read',
  act: 'see_visit_readings',
  who: { id: 'd', name: 'Amina Hasan' },
  role: 'doctor',
  subject: { id: 'p', name: 'Rinat' },
  organisation: { id: ORG, name: 'Clinic 7' },
  about_id: VISIT,
  details: {},
  since: local(9, 0),
  until: local(9, 0),
  times: 1,
  ...changes,
});

beforeEach(() => setLanguage('en'));
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a line', () => {
  it('says what was done, by whom and in which hat', () => {
    expect(actText(look())).toBe('Readings of a visit opened');
    expect(whoText(look(), 'p')).toBe('Amina Hasan');
    expect(whoText(look(), 'd')).toBe('You');
    expect(whoText(look({ who: null }), 'p')).toBe('The system or somebody unknown');
    expect(hatText(look())).toBe('doctor, Clinic 7');
    expect(hatText(look({ role: null, organisation: null }))).toBe('');
  });

  it('names an act it does not know by its code, and an attempt as one', () => {
    expect(actText(look({ act: 'fly' }))).toBe('Act “fly”');
    expect(actText(look({ kind: 'refusal', act: 'read_note' }))).toBe(
      'Attempt: Doctor’s note read',
    );
  });

  it('says a moment once, a sitting from and to', () => {
    expect(whenText(look(), NOW)).toBe('09:00');
    expect(whenText(look({ until: local(9, 40) }), NOW)).toBe('09:00 – 09:40');
    expect(whenText(look({ since: local(23, 50, 1), until: local(0, 10) }), NOW)).toBe(
      '1 March 2026, 23:50 – 00:10',
    );
  });

  it('leads to the visit it is about, and nowhere else', () => {
    expect(ofVisit(look())).toBe(true);
    expect(ofVisit(look({ act: 'note_written' }))).toBe(true);
    expect(ofVisit(look({ act: 'visit_opened' }))).toBe(true);
    expect(ofVisit(look({ act: 'signed_in' }))).toBe(false);
    expect(ofVisit(look({ about_id: null }))).toBe(false);
  });
});

describe('the page of a person', () => {
  it('shows who looked, how often, and the rest when asked', async () => {
    const older = look({ act: 'read_note', until: local(8, 0, 1), since: local(8, 0, 1) });
    const sent = network({
      'GET /api/v1/family': { body: { children: [] } },
      'GET /api/v1/looked': [
        { body: { items: [look({ times: 3 })], more: { at: local(9, 0), id: 'x' } } },
        { body: { items: [older], more: null } },
      ],
    });
    render(LookedPage);
    const [first] = await screen.findAllByRole('listitem');
    expect(first).toHaveTextContent('Readings of a visit opened');
    expect(first).toHaveTextContent('3 times');
    expect(within(first!).getByRole('link', { name: 'Open the visit' })).toHaveAttribute(
      'href',
      `#/visits/${VISIT}`,
    );
    await userEvent.click(screen.getByRole('button', { name: 'Show earlier ones' }));
    await vi.waitFor(() => expect(screen.getAllByRole('listitem')).toHaveLength(2));
    expect(screen.queryByRole('button', { name: 'Show earlier ones' })).toBeNull();
    expect(screen.queryByLabelText('Whose record')).toBeNull();
    expect(sent.filter(({ path }) => path.endsWith('/looked'))).toHaveLength(2);
  });

  it('lets a guardian choose a child whose health is open to them, and links no visit there', async () => {
    const asked: string[] = [];
    network({
      'GET /api/v1/family': {
        body: {
          children: [
            { id: 'c1', name: 'Aida', health: true },
            { id: 'c2', name: 'Timur', health: false },
          ],
        },
      },
      'GET /api/v1/looked': { body: { items: [look()], more: null } },
    });
    const answering = fetch;
    vi.stubGlobal('fetch', (request: Request) => {
      asked.push(new URL(request.url).search);
      return answering(request);
    });
    render(LookedPage);
    const whose = await screen.findByLabelText('Whose record');
    expect(
      within(whose)
        .getAllByRole('option')
        .map((one) => one.textContent),
    ).toEqual(['Mine', 'Aida']);
    await userEvent.selectOptions(whose, 'c1');
    await vi.waitFor(() => expect(asked.at(-1)).toContain('person_id=c1'));
    await screen.findByRole('listitem');
    expect(screen.queryByRole('link', { name: 'Open the visit' })).toBeNull();
  });

  it('says in words that nobody has looked, and that the server is away', async () => {
    network({
      'GET /api/v1/family': { body: { children: [] } },
      'GET /api/v1/looked': [{ down: true }, { body: { items: [], more: null } }],
    });
    render(LookedPage);
    expect(await screen.findByRole('alert')).toHaveTextContent('The server cannot be reached');
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByText('Nobody has looked yet')).toBeInTheDocument();
  });
});

describe('the administrator’s section', () => {
  const AUDIT = `GET /api/v1/organisations/${ORG}/audit`;

  it('asks for the lines of one person', async () => {
    const asked: string[] = [];
    network({ [AUDIT]: { body: { items: [look()], more: null } } });
    const answering = fetch;
    vi.stubGlobal('fetch', (request: Request) => {
      asked.push(new URL(request.url).search);
      return answering(request);
    });
    render(AuditSection, { org: ORG });
    await userEvent.click(await screen.findByRole('button', { name: 'Only Amina Hasan' }));
    expect(await screen.findByText('Only lines with Amina Hasan')).toBeInTheDocument();
    expect(asked).toEqual(['', '?person_id=d']);
    expect(screen.getByText('About: Rinat')).toBeInTheDocument();
  });

  it('saves the table as a file, or says why not', async () => {
    network({
      [AUDIT]: { body: { items: [], more: null } },
      [`${AUDIT}.csv`]: [
        { status: 422, body: { code: 'export_too_large', params: { most: 50000 } } },
        { body: 'at_utc,kind' },
      ],
    });
    const made = vi.fn<(file: Blob) => string>(() => 'blob:x');
    vi.stubGlobal(
      'URL',
      Object.assign(class extends URL {}, { createObjectURL: made, revokeObjectURL: vi.fn() }),
    );
    const click = vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(() => {});
    render(AuditSection, { org: ORG });
    const button = await screen.findByRole('button', { name: 'Download as a table (CSV)' });
    await userEvent.click(button);
    expect(await screen.findByRole('alert')).toHaveTextContent('choose fewer days');
    await userEvent.click(button);
    await vi.waitFor(() => expect(click).toHaveBeenCalledOnce());
    expect(made.mock.calls[0]![0]).toHaveProperty('size', '"at_utc,kind"'.length);
  });
});
