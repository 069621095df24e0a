/**
 * The doctor's note: typed text is kept here until the server has it, and two writers never
 * overwrite each other. The text lives in the page only, never in the browser's storage.
 */

/** A note as stored; `version` is that of what was read. */
export interface StoredNote {
  text: string;
  version: number;
}

/**
 * `kept`: the server cannot be reached, the text is here and will be sent.
 * `stuck`: the server refuses the text; the person must do something.
 */
export type NoteState = 'loading' | 'saved' | 'unsaved' | 'saving' | 'kept' | 'conflict' | 'stuck';

export interface NoteView {
  state: NoteState;
  text: string;
  /** The other text, in `conflict`. */
  theirs: string | null;
  /** When the server last took the text (ms). */
  savedAt: number | null;
}

export type SaveResult =
  | { is: 'stored'; note: StoredNote }
  | { is: 'changed'; current: StoredNote }
  /** No answer, or "later". */
  | { is: 'away' }
  | { is: 'refused' };

export interface NotePlan {
  /** Null when the server cannot be reached now. */
  load: () => Promise<StoredNote | null>;
  save: (note: StoredNote) => Promise<SaveResult>;
  onChange: (view: NoteView) => void;
}

export type Resolution = 'mine' | 'theirs' | 'both';

/** A pause in typing after which the text is sent. */
export const PAUSE_MS = 800;

export class NoteKeeper {
  readonly #plan: NotePlan;
  #text = '';
  #base: StoredNote | null = null;
  #state: NoteState = 'loading';
  #theirs: StoredNote | null = null;
  #savedAt: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;
  #loading: Promise<void> | null = null;

  constructor(plan: NotePlan) {
    this.#plan = plan;
  }

  get view(): NoteView {
    return {
      state: this.#state,
      text: this.#text,
      theirs: this.#theirs?.text ?? null,
      savedAt: this.#savedAt,
    };
  }

  /** Something typed here is not on the server. */
  get unsent(): boolean {
    return this.#base === null ? this.#text !== '' : this.#text !== this.#base.text;
  }

  /** Read the stored note, once: whoever asks while that is under way waits for the same answer. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load(): Promise<void> {
    if (this.#base !== null) return;
    const note = await this.#plan.load();
    // An answer that stalled is older than what has been typed and saved since.
    if (this.#base !== null || this.#busy) return;
    if (note === null) {
      this.#become(this.unsent ? 'kept' : 'loading');
      return;
    }
    const untouched = !this.unsent;
    this.#base = note;
    if (untouched) {
      this.#text = note.text;
      this.#become('saved');
    } else if (note.text === '' || note.text === this.#text) {
      await this.save();
    } else {
      this.#theirs = note;
      this.#become('conflict');
    }
  }

  edit(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    if (this.#state === 'conflict') {
      this.#become('conflict');
      return;
    }
    this.#become(this.#base !== null && !this.unsent ? 'saved' : 'unsaved');
    clearTimeout(this.#timer);
    if (this.unsent) this.#timer = setTimeout(() => void this.save(), PAUSE_MS);
  }

  /** Send what is unsent, now. */
  async save(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#busy || this.#state === 'conflict') return;
    if (this.#base === null) {
      await this.load();
      return;
    }
    if (!this.unsent) {
      this.#become('saved');
      return;
    }
    this.#busy = true;
    this.#become('saving');
    const sent = this.#text;
    const result = await this.#plan.save({ text: sent, version: this.#base.version });
    this.#busy = false;
    this.#settle(sent, result);
  }

  /** The server may be back: try again what is kept here. */
  async retry(): Promise<void> {
    if (this.#state === 'kept' || this.#state === 'loading') {
      await (this.#base === null ? this.load() : this.save());
    }
  }

  /** End a conflict with one text, the other, or both one after the other. */
  async resolve(how: Resolution): Promise<void> {
    const theirs = this.#theirs;
    if (theirs === null) return;
    if (how === 'theirs') this.#text = theirs.text;
    if (how === 'both') this.#text = `${theirs.text}\n\n${this.#text}`;
    this.#base = theirs;
    this.#theirs = null;
    this.#become(this.unsent ? 'unsaved' : 'saved');
    await this.save();
  }

  #settle(sent: string, result: SaveResult): void {
    switch (result.is) {
      case 'stored':
        this.#base = result.note;
        this.#savedAt = Date.now();
        break;
      case 'changed':
        this.#base = result.current;
        // The earlier try arrived after all and only its answer was lost.
        if (result.current.text !== sent) {
          this.#theirs = result.current;
          this.#become('conflict');
          return;
        }
        this.#savedAt = Date.now();
        break;
      case 'away':
        this.#become('kept');
        return;
      case 'refused':
        this.#become('stuck');
        return;
    }
    if (!this.unsent) {
      this.#become('saved');
      return;
    }
    this.#become('unsaved');
    this.#timer = setTimeout(() => void this.save(), PAUSE_MS);
  }

  #become(state: NoteState): void {
    this.#state = state;
    this.#plan.onChange(this.view);
  }
}
