/** What a lesson's slides are, and which of their pages are wanted at once. */

export interface Deck {
  id: string;
  name: string;
  pages: number;
  /** The text of each page, for who cannot see it. */
  texts: string[];
}

export function slideUrl(lessonId: string, deckId: string, page: number): string {
  return `/api/v1/lessons/${lessonId}/slides/${deckId}/${page}`;
}

/** A reader listens to a sentence or two; the page's whole text would hold up the lesson. */
const ALT_LENGTH = 300;

/** The text of a page in one line; empty when it has none. */
export function pageText(deck: Deck, page: number): string {
  const text = (deck.texts[page - 1] ?? '').replace(/\s+/g, ' ').trim();
  return text.length > ALT_LENGTH ? `${text.slice(0, ALT_LENGTH).trimEnd()}…` : text;
}

/** How far ahead and behind pages are kept ready: teachers go on more often than back. */
const AHEAD = 2;
const BEHIND = 1;

/** The pages to hold: the wanted one, its neighbours, and the one still on screen. */
export function pagesToHold(page: number, pages: number, shown: number | null): number[] {
  const held = new Set<number>(shown === null ? [] : [shown]);
  for (let near = page - BEHIND; near <= page + AHEAD; near += 1) held.add(near);
  return [...held].filter((one) => one >= 1 && one <= pages).sort((a, b) => a - b);
}
