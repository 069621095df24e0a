import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Problem } from '../../src/api/problem';
import { setLanguage } from '../../src/i18n/language.svelte';
import { pagesToHold, pageText } from '../../src/slides/deck';
import SlideStrip from '../../src/slides/SlideStrip.svelte';
import SlideView from '../../src/slides/SlideView.svelte';
import { lookInto, MOST_BYTES, refusalOf } from '../../src/slides/upload';
import { network } from '../network';

const lessonId = '0197aaaa-0000-7000-8000-000000000008';
const deck = {
  id: '0197aaaa-0000-7000-8000-0000000000d1',
  name: 'Дроби.pdf',
  pages: 12,
  texts: ['Дроби\n  урок 1', '', 'Половина'],
};
const urlOf = (page: number) => `/api/v1/lessons/${lessonId}/slides/${deck.id}/${page}`;

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

describe('the pages held', () => {
  it('are the wanted one, one behind, two ahead, and the one still on screen', () => {
    expect(pagesToHold(5, 12, 9)).toEqual([4, 5, 6, 7, 9]);
  });

  it('end where the deck does', () => {
    expect(pagesToHold(1, 12, null)).toEqual([1, 2, 3]);
    expect(pagesToHold(12, 12, 12)).toEqual([11, 12]);
  });
});

it('the text of a page is one line, and not a whole book', () => {
  expect(pageText(deck, 1)).toBe('Дроби урок 1');
  expect(pageText(deck, 7)).toBe('');
  expect(pageText({ ...deck, texts: ['а'.repeat(5_000)] }, 1)).toHaveLength(301);
});

describe('a slide', () => {
  /** Images by address: jsdom decodes none, so a test says when one is. */
  let decoding: Map<string, { done: () => void; fail: () => void }[]>;

  beforeEach(() => {
    decoding = new Map();
    HTMLImageElement.prototype.decode = function decode(this: HTMLImageElement) {
      return new Promise((done, fail) => {
        const url = this.getAttribute('src')!;
        decoding.set(url, [...(decoding.get(url) ?? []), { done, fail: () => fail(new Error()) }]);
      });
    };
  });

  const finish = (page: number) => decoding.get(urlOf(page))!.at(-1)!.done();
  const seen = () =>
    [...document.querySelectorAll('img.now')].map((image) => image.getAttribute('src'));

  it('stays on screen until the next one is decoded', async () => {
    const { rerender } = render(SlideView, { lessonId, deck, page: 1 });
    expect(seen()).toEqual([]);
    finish(1);
    await waitFor(() => expect(seen()).toEqual([urlOf(1)]));
    await rerender({ page: 2 });
    expect(seen()).toEqual([urlOf(1)]);
    finish(2);
    await waitFor(() => expect(seen()).toEqual([urlOf(2)]));
    expect(screen.getByTestId('slide')).toHaveAttribute('data-page', '2');
    await waitFor(() => expect(screen.getByTestId('slide')).toHaveAttribute('data-shown-at'));
  });

  it('is turned without asking again when its neighbour is decoded already', async () => {
    const { rerender } = render(SlideView, { lessonId, deck, page: 1 });
    finish(1);
    finish(2);
    await waitFor(() => expect(seen()).toEqual([urlOf(1)]));
    const second = document.querySelector(`img[src="${urlOf(2)}"]`);
    await rerender({ page: 2 });
    expect(seen()).toEqual([urlOf(2)]);
    expect(document.querySelector('img.now')).toBe(second);
    expect(decoding.get(urlOf(2))).toHaveLength(1);
  });

  it('says its number and its text to who cannot see it', async () => {
    render(SlideView, { lessonId, deck, page: 1 });
    finish(1);
    expect(
      await screen.findByRole('img', { name: 'Slide 1 of 12. Дроби урок 1' }),
    ).toBeInTheDocument();
    expect(screen.getAllByRole('img')).toHaveLength(1);
  });

  it('is asked for again when the link failed, and then shown', async () => {
    const sent = network({ [`GET ${urlOf(1)}`]: { body: {} } });
    render(SlideView, { lessonId, deck, page: 1 });
    decoding.get(urlOf(1))![0]!.fail();
    await waitFor(() => expect(decoding.get(urlOf(1))).toHaveLength(2));
    finish(1);
    await waitFor(() => expect(seen()).toEqual([urlOf(1)]));
    expect(sent.map((one) => one.path)).toEqual([urlOf(1)]);
  });

  it('says so when there is no such slide any more', async () => {
    network({});
    render(SlideView, { lessonId, deck, page: 1 });
    decoding.get(urlOf(1))![0]!.fail();
    expect(await screen.findByText('This slide is no longer there.')).toBeInTheDocument();
  });
});

describe('the strip', () => {
  const open = (page: number) => {
    const turned: number[] = [];
    render(SlideStrip, { lessonId, deck, page, onturn: (to: number) => turned.push(to) });
    return turned;
  };

  it('marks the page on screen, and is one stop of the Tab key', async () => {
    open(3);
    const now = screen.getByRole('button', { name: 'Show slide 3: Половина' });
    expect(now).toHaveAttribute('aria-current', 'true');
    await userEvent.tab();
    expect(now).toHaveFocus();
    await userEvent.tab();
    expect(document.body).toHaveFocus();
  });

  it('is walked by arrows and turns only when asked', async () => {
    const turned = open(3);
    await userEvent.tab();
    await userEvent.keyboard('{ArrowRight}{ArrowRight}{ArrowLeft}');
    expect(screen.getByRole('button', { name: 'Show slide 4' })).toHaveFocus();
    expect(turned).toEqual([]);
    await userEvent.keyboard('{Enter}');
    expect(turned).toEqual([4]);
    await userEvent.keyboard('{End}{ArrowRight}');
    expect(screen.getByRole('button', { name: 'Show slide 12' })).toHaveFocus();
  });
});

describe('a file for slides', () => {
  it('that is too large is refused before it is sent', async () => {
    const file = new Blob(['%PDF-1.7']);
    Object.defineProperty(file, 'size', { value: MOST_BYTES + 1 });
    expect(await lookInto(file)).toBe('too_large');
  });

  it('is told by its content, not by its name', async () => {
    expect(await lookInto(new File(['MZ\x90\0'], 'lesson.pdf'))).toBe('not_a_pdf');
    expect(await lookInto(new Blob([]))).toBe('not_a_pdf');
    expect(await lookInto(new Blob(['junk before\n%PDF-1.4\n…']))).toBeNull();
  });
});

it('every refusal of the server about a file has its own words', () => {
  const refused = (status: number, code: string) => refusalOf(new Problem(status, { code }, null));
  for (const code of ['broken_pdf', 'not_a_pdf', 'pdf_locked', 'too_many_pages']) {
    expect(refused(422, code)).toBe(code);
  }
  expect(refused(413, 'too_large')).toBe('too_large');
  expect(refused(413, 'body_too_large')).toBe('too_large');
  expect(refused(0, 'server_away')).toBe('away');
  expect(refused(403, 'forbidden')).toBeNull();
  const inField = { code: 'invalid', errors: [{ field: 'slides', code: 'pdf_locked' }] };
  expect(refusalOf(new Problem(422, inField, null))).toBe('pdf_locked');
});
