import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import App from '../../src/App.svelte';
import { setLanguage } from '../../src/i18n/language.svelte';
import { replace } from '../../src/place.svelte';
import { keepPlace } from '../../src/watch/memory';
import type { Presentation } from '../../src/watch/timeline';
import { network, person, problem, type Reply } from '../network';

const ID = '0197aaaa-0000-7000-8000-000000000008';
const DECK = '0197aaaa-0000-7000-8000-0000000000d1';
const RECORDING = `GET /api/v1/lessons/${ID}/recording`;

const ready: Presentation = {
  state: 'ready',
  title: 'Дроби',
  audience: 'class',
  duration_ms: 600_000,
  size: 10,
  audio_size: 5,
  takes: [{ started_at: '2026-03-01T09:00:00Z', base_ms: 0, duration_ms: 600_000 }],
  gaps: [{ start_ms: 100_000, duration_ms: 4_000 }],
  chapters: [
    { start_ms: 2_000, deck_id: DECK, page: 1, title: 'Половина' },
    { start_ms: 90_000, deck_id: DECK, page: 2, title: null },
  ],
};
const nothing: Presentation = { ...ready, state: 'none', duration_ms: 0, takes: [], chapters: [] };
const deck = { id: DECK, name: 'Дроби.pdf', pages: 2, texts: ['Половина', ''] };

const open = (recording: Reply | Reply[], more: Record<string, Reply | Reply[]> = {}) => {
  replace(`#/lessons/${ID}/watch`);
  const sent = network({
    'GET /api/v1/me': { body: { ...person, language: 'en' } },
    [RECORDING]: recording,
    [`GET /api/v1/lessons/${ID}/slides`]: { body: deck },
    ...more,
  });
  render(App);
  return sent;
};

/** How often a file was opened. */
let loads: number;

// The page comes when it is first entered; a busy machine needs longer than a test waits for a word.
beforeAll(() => import('../../src/watch/WatchPage.svelte'));
beforeEach(() => {
  setLanguage('en');
  localStorage.clear();
  // jsdom opens no files and decodes no pictures.
  loads = 0;
  HTMLMediaElement.prototype.load = () => void (loads += 1);
  HTMLMediaElement.prototype.play = () => Promise.resolve();
  HTMLImageElement.prototype.decode = () => Promise.resolve();
});
afterEach(() => vi.unstubAllGlobals());

const video = () => document.querySelector('video')!;
const opened = async (): Promise<HTMLVideoElement> => {
  await waitFor(() => expect(video()?.getAttribute('src')).toContain('.mp4'));
  return video();
};
/** The browser has read the file's beginning. */
const begin = (picture: HTMLVideoElement): void => {
  Object.defineProperty(picture, 'readyState', { value: 4, configurable: true });
  picture.dispatchEvent(new Event('loadedmetadata'));
};
const showAt = (picture: HTMLVideoElement, seconds: number): void => {
  picture.currentTime = seconds;
  picture.dispatchEvent(new Event('timeupdate'));
};

describe('without a recording', () => {
  it('the page says so calmly, and looks again when asked', async () => {
    open([{ body: nothing }, { body: ready }]);
    expect(
      await screen.findByRole('heading', { name: 'There is no recording' }),
    ).toBeInTheDocument();
    expect(screen.getByTestId('watch')).toHaveAttribute('data-state', 'none');
    await userEvent.click(screen.getByRole('button', { name: 'Look now' }));
    await waitFor(() => expect(screen.getByTestId('watch')).toHaveAttribute('data-state', 'ready'));
  });

  it('a stranger to the lesson is told that it is not open to him', async () => {
    open(problem(404, 'not_found'));
    expect(await screen.findByRole('alert')).toHaveTextContent('not open to you');
    expect(screen.queryByRole('button', { name: 'Try again' })).toBeNull();
  });

  it('what is still being stored is waited for', async () => {
    open({ body: { ...ready, state: 'preparing' } });
    expect(
      await screen.findByRole('heading', { name: 'Preparing the recording' }),
    ).toBeInTheDocument();
    expect(document.querySelector('video')).toBeNull();
  });

  it('a broadcast whose first piece is not there yet is no broken one', async () => {
    open({ body: { ...nothing, state: 'recording' } });
    expect(
      await screen.findByRole('heading', { name: 'The broadcast is starting' }),
    ).toBeInTheDocument();
  });
});

describe('a recording', () => {
  it('is one file, shown with its chapters and gaps', async () => {
    open({ body: ready });
    const picture = await opened();
    expect(picture).toHaveAttribute('src', `/api/v1/lessons/${ID}/recording/lesson.mp4`);
    const chapters = [...document.querySelectorAll('[data-chapter]')];
    expect(chapters.map((one) => one.getAttribute('data-start-ms'))).toEqual(['2000', '90000']);
    const gap = document.querySelector<HTMLElement>('[data-gap]')!;
    expect(gap).toHaveTextContent('1:40 4 seconds are missing here: the connection was lost.');
  });

  it('marks the slide of its time and shows it beside the picture', async () => {
    open({ body: ready });
    const picture = await opened();
    begin(picture);
    showAt(picture, 95);
    await waitFor(() => expect(screen.getByTestId('slide')).toHaveAttribute('data-page', '2'));
    expect(document.querySelector('[data-chapter][aria-current]')).toHaveTextContent('Slide 2');
  });

  it('is sought by a chapter, by keyboard too', async () => {
    open({ body: ready });
    const picture = await opened();
    begin(picture);
    const list = screen.getByRole('list', { name: 'Slides of the lesson' });
    within(list).getAllByRole('button')[0]!.focus();
    await userEvent.keyboard('{ArrowDown}{Enter}');
    expect(picture.currentTime).toBe(90);
  });

  it('says over the picture that a piece is missing while it is', async () => {
    open({ body: ready });
    const picture = await opened();
    begin(picture);
    showAt(picture, 102);
    await waitFor(() =>
      expect(
        screen.getByText(/4 seconds are missing/, { selector: 'p[role=status]' }),
      ).toBeInTheDocument(),
    );
    showAt(picture, 110);
    await waitFor(() => expect(document.querySelector('p[role=status]')).toBeNull());
  });

  it('goes on in sound only from the same place and as fast', async () => {
    open({ body: ready });
    const picture = await opened();
    begin(picture);
    showAt(picture, 42);
    await userEvent.selectOptions(screen.getByLabelText('Speed'), '1.5');
    await userEvent.click(screen.getByRole('radio', { name: 'Sound only' }));
    expect(picture).toHaveAttribute('src', `/api/v1/lessons/${ID}/recording/audio.mp4`);
    picture.currentTime = 0;
    begin(picture);
    expect(picture.currentTime).toBe(42);
    expect(picture.defaultPlaybackRate).toBe(1.5);
  });

  it('goes on where this person stopped, and from the beginning when asked', async () => {
    keepPlace(person.id, ID, 300, 600);
    open({ body: ready });
    const picture = await opened();
    begin(picture);
    expect(picture.currentTime).toBe(300);
    expect(screen.getByText('Going on from 5:00, where you stopped.')).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'From the beginning' }));
    expect(picture.currentTime).toBe(0);
  });

  it('that breaks off waits for the server and goes on from the same place', async () => {
    open([{ body: ready }, { down: true }, { body: ready }]);
    const picture = await opened();
    begin(picture);
    showAt(picture, 42);
    Object.defineProperty(picture, 'error', { value: { code: 2 }, configurable: true });
    picture.dispatchEvent(new Event('error'));
    expect(await screen.findByText('The connection broke')).toBeInTheDocument();
    const files = loads;
    window.dispatchEvent(new Event('online'));
    await waitFor(() => expect(loads).toBe(files + 1));
    Object.defineProperty(picture, 'error', { value: null, configurable: true });
    picture.currentTime = 0;
    begin(picture);
    expect(picture.currentTime).toBe(42);
    picture.dispatchEvent(new Event('loadeddata'));
    await waitFor(() => expect(screen.queryByText('The connection broke')).toBeNull());
  });

  it('whose session ended asks to sign in and then goes on', async () => {
    open([{ body: ready }, problem(401, 'not_signed_in'), { body: ready }], {
      'POST /api/v1/sign-in': { status: 201, body: { ...person, language: 'en' } },
    });
    const picture = await opened();
    begin(picture);
    showAt(picture, 42);
    Object.defineProperty(picture, 'error', { value: { code: 2 }, configurable: true });
    const files = loads;
    picture.dispatchEvent(new Event('error'));
    const dialog = await screen.findByRole('dialog', { name: 'Please sign in again' });
    await userEvent.type(within(dialog).getByLabelText('Login'), 'ildar');
    await userEvent.type(within(dialog).getByLabelText('Password'), 'secret');
    await userEvent.click(within(dialog).getByRole('button', { name: 'Sign in' }));
    await waitFor(() => expect(loads).toBe(files + 1));
  });
});
