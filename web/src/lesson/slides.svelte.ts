/** The slides of a lesson as its page shows them: which deck, which page, and who leafs. */

import { problemText, toProblem } from '../api/problem';
import type { Deck } from '../slides/deck';
import { toast } from '../ui/announce.svelte';
import * as rest from './rest';
import { Turner } from './turner';
import type { SlideNow } from './wire';

export class Slides {
  readonly #id: string;
  readonly #turner: Turner;
  deck = $state.raw<Deck | null>(null);
  /** What the server says is shown. */
  shown = $state.raw<SlideNow | null>(null);
  #turning = $state<number | null>(null);
  #asking = false;
  /** The newest deck is not the one on the stage: asking again would not help. */
  #unhad: string | null = null;

  /** The page on the stage; of a deck this page does not hold there is none. */
  readonly page = $derived.by((): number | null => {
    if (this.#turning !== null) return this.#turning;
    return this.shown !== null && this.shown.deck_id === this.deck?.id ? this.shown.page : null;
  });

  constructor(id: string) {
    this.#id = id;
    this.#turner = new Turner({
      send: async (page) => this.show(await rest.turnSlide(id, page)),
      onFailed: (error) => toast(problemText(toProblem(error)), 'trouble'),
      onChange: (page) => (this.#turning = page),
    });
  }

  turn(page: number): void {
    if (this.deck === null || page < 1 || page > this.deck.pages || page === this.page) return;
    this.#turner.turn(page);
  }

  /** New slides: the server shows the class the first page of them. */
  added(deck: Deck): void {
    this.deck = deck;
    this.show({ deck_id: deck.id, page: 1, pages: deck.pages });
  }

  /** Another page, as told while it was turned. */
  turned(deckId: string, page: number): void {
    const pages = this.deck?.id === deckId ? this.deck.pages : page;
    this.show({ deck_id: deckId, page, pages });
  }

  show(slide: SlideNow | null): void {
    this.shown = slide;
    this.retry();
  }

  /** The deck that could not be had before: again. */
  retry(): void {
    const id = this.shown?.deck_id;
    if (id !== undefined && this.deck?.id !== id && this.#unhad !== id) void this.#load(id);
  }

  async #load(deckId: string): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      this.deck = await rest.loadDeck(this.#id);
      this.#unhad = this.deck.id === deckId ? null : deckId;
    } catch {
      // Asked for again with the next look.
    }
    this.#asking = false;
  }
}
