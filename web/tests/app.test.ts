import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import App from '../src/App.svelte';
import { setLanguage } from '../src/i18n/language.svelte';
import { isoDate } from '../src/i18n/dates';
import { replace } from '../src/place.svelte';
import { network, person, problem, type Reply } from './network';

const GONE = problem(401, 'not_signed_in');
const soon = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
const english = { ...person, language: 'en' };
const visit = {
  id: '0197aaaa-0000-7000-8000-000000000007',
  starts_at: soon(10),
  ends_at: soon(40),
  state: 'booked',
  my_side: 'patient',
  other: { id: 'o', name: 'Амина Галиева' },
  organisation: { id: 'c', name: 'Айболит' },
};
const lesson = {
  id: '0197aaaa-0000-7000-8000-000000000008',
  title: 'Дроби',
  subject: 'Математика',
  class_name: '5 «Б»',
  starts_at: soon(60),
  ends_at: soon(100),
  my_side: 'pupil',
};
const day = (more: object = {}): Reply => ({
  body: { date: isoDate(new Date()), visits: [], lessons: [], ...more },
});

/** Somebody without family, notices or anybody at a desk. */
const ALONE: Record<string, Reply> = {
  'GET /api/v1/home': { body: { children: [], step: null, waiting: 0 } },
  'GET /api/v1/assistance': { body: [] },
  'GET /api/v1/notices/unread': { body: { count: 0 } },
  'GET /api/v1/sign-in/ways': { body: { outside: null } },
};

const open = (hash: string, replies: Record<string, Reply | Reply[]>) => {
  replace(hash);
  const sent = network({ 'GET /api/v1/me': { body: english }, ...ALONE, ...replies });
  render(App);
  return sent;
};

// The page comes when it is first entered; a busy machine needs longer than a test waits for a word.
beforeAll(() => import('../src/lesson/LessonPage.svelte'));
beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

describe('without a session', () => {
  it('a person signs in first and then comes to the page they wanted', async () => {
    open(`#/lessons/${lesson.id}`, {
      'GET /api/v1/me': GONE,
      'POST /api/v1/sign-in': { status: 201, body: english },
      [`GET /api/v1/lessons/${lesson.id}`]: {
        body: { ...lesson, teacher: { id: 't', name: 'Ләйсән' }, state: 'planned' },
      },
    });
    await userEvent.type(await screen.findByLabelText('Login'), 'ildar');
    await userEvent.type(screen.getByLabelText('Password'), 'secret');
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }));
    expect(await screen.findByRole('heading', { level: 1, name: 'Дроби' })).toBeInTheDocument();
    expect(location.hash).toBe(`#/lessons/${lesson.id}`);
  });
});

describe('while the server is away', () => {
  it('the page says so and tries again when asked', async () => {
    open('#/day', {
      'GET /api/v1/me': [{ down: true }, { body: english }],
      'GET /api/v1/day': day(),
    });
    expect(await screen.findByRole('alert')).toHaveTextContent('The server cannot be reached');
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByRole('heading', { level: 1, name: 'Today' })).toBeInTheDocument();
  });
});

describe('my day', () => {
  it('has one main action: to enter the nearest meeting', async () => {
    open('#/day', { 'GET /api/v1/day': day({ visits: [visit], lessons: [lesson] }) });
    const enter = await screen.findByRole('link', { name: 'Enter the visit' });
    expect(enter).toHaveAttribute('href', `#/visits/${visit.id}`);
    expect(document.querySelectorAll('main .primary')).toHaveLength(1);
    expect(screen.getByRole('link', { name: /^Open Дроби/ })).toHaveAttribute(
      'href',
      `#/lessons/${lesson.id}`,
    );
    expect(screen.getByText('Hello, Илдар! 2 meetings ahead.')).toBeInTheDocument();
  });

  it('says when nothing is planned', async () => {
    open('#/day', { 'GET /api/v1/day': day() });
    expect(await screen.findByText('Nothing is planned for today')).toBeInTheDocument();
  });

  it('says what went wrong, with the number of the log, and tries again when asked', async () => {
    open('#/day', { 'GET /api/v1/day': [problem(500, 'internal'), day({ visits: [visit] })] });
    expect(await screen.findByRole('alert')).toHaveTextContent('Error number: e-17.');
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByText('Амина Галиева')).toBeInTheDocument();
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('keeps the day on screen when refreshing it fails', async () => {
    open('#/day', { 'GET /api/v1/day': [day({ visits: [visit] }), { down: true }] });
    await screen.findByText('Амина Галиева');
    document.dispatchEvent(new Event('visibilitychange'));
    expect(await screen.findByRole('alert')).toBeInTheDocument();
    expect(screen.getByText('Амина Галиева')).toBeInTheDocument();
  });

  it('leads to other days and says which one is shown', async () => {
    open('#/day/2026-03-01', { 'GET /api/v1/day': day({ date: '2026-03-01' }) });
    const heading = await screen.findByRole('heading', { level: 1, name: 'Sunday, 1 March' });
    expect(heading).toBeInTheDocument();
    const next = screen.getByRole('link', { name: '2 March' });
    expect(next).toHaveAttribute('href', '#/day/2026-03-02');
    await userEvent.click(next);
    expect(await screen.findByRole('heading', { name: 'Monday, 2 March' })).toBeInTheDocument();
    expect(document.querySelector('.unseen[aria-live]')).toHaveTextContent('Monday, 2 March');
  });
});

describe('a change of page', () => {
  it('moves focus to the heading of the new page and changes the title', async () => {
    open('#/day', {
      'GET /api/v1/day': day({ lessons: [lesson] }),
      [`GET /api/v1/lessons/${lesson.id}`]: {
        body: { ...lesson, teacher: { id: 't', name: 'Ләйсән' }, state: 'planned' },
      },
    });
    await userEvent.click(await screen.findByRole('link', { name: 'Open the lesson' }));
    const heading = await screen.findByRole('heading', { level: 1, name: 'Дроби' });
    expect(heading).toHaveFocus();
    expect(document.title).toBe('Дроби · Yanasha');
  });

  it('to nowhere says so and leads back', async () => {
    open('#/nowhere', {});
    expect(await screen.findByRole('heading', { name: 'No such page' })).toBeInTheDocument();
    expect(screen.getByRole('link', { name: 'Back to my day' })).toHaveAttribute('href', '#/day');
  });
});

const openMenu = async () => {
  await screen.findByRole('heading', { level: 1, name: 'Today' });
  await userEvent.click(screen.getByRole('button', { name: 'Menu' }));
};

describe('the menu', () => {
  it('changes the language of the page at once', async () => {
    open('#/day', {
      'GET /api/v1/day': day(),
      'PATCH /api/v1/me': { body: { ...english, language: 'tt' } },
    });
    await openMenu();
    await userEvent.click(screen.getByRole('radio', { name: 'Татарча' }));
    expect(await screen.findByRole('heading', { level: 1, name: 'Бүген' })).toBeInTheDocument();
    expect(document.documentElement.lang).toBe('tt');
  });

  it('changes text size and theme, and this device remembers them', async () => {
    open('#/day', { 'GET /api/v1/day': day() });
    await openMenu();
    await userEvent.click(screen.getByRole('radio', { name: 'Very large' }));
    await userEvent.click(screen.getByRole('radio', { name: 'Dark' }));
    expect(document.documentElement.dataset).toMatchObject({ text: 'largest', theme: 'dark' });
    expect(localStorage.getItem('yanasha.text')).toBe('largest');
  });

  it('signs out and shows the sign-in page', async () => {
    open('#/day', { 'GET /api/v1/day': day(), 'POST /api/v1/sign-out': { status: 204 } });
    await openMenu();
    await userEvent.click(screen.getByRole('button', { name: 'Sign out' }));
    expect(await screen.findByRole('heading', { level: 1, name: 'Sign in' })).toBeInTheDocument();
    expect(location.hash).toBe('#/sign-in');
  });
});

describe('a session that ends', () => {
  it('asks to sign in over the page and goes on from there', async () => {
    open('#/day', {
      'GET /api/v1/day': [day({ visits: [visit] }), GONE, day({ visits: [visit] })],
      'POST /api/v1/sign-in': { status: 201, body: english },
    });
    await screen.findByText('Амина Галиева');
    document.dispatchEvent(new Event('visibilitychange'));
    const dialog = await screen.findByRole('dialog', { name: 'Please sign in again' });
    expect(screen.getByText('Амина Галиева')).toBeInTheDocument();
    expect(screen.getByLabelText('Login')).toHaveFocus();
    await userEvent.type(screen.getByLabelText('Login'), 'ildar');
    await userEvent.type(screen.getByLabelText('Password'), 'secret');
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }));
    await vi.waitFor(() => expect(dialog).not.toBeInTheDocument());
    expect(screen.queryByRole('alert')).toBeNull();
  });
});
