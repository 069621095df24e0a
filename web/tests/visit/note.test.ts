// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  NoteKeeper,
  PAUSE_MS,
  type NoteState,
  type SaveResult,
  type StoredNote,
} from '../../src/visit/note/keeper';

/** A store of one note with versions, that can be away and that another writer can change. */
class NoteServer {
  note: StoredNote = { text: '', version: 0 };
  away = false;
  /** Takes the text, then loses the answer. */
  loseAnswer = false;
  saves = 0;

  load = (): Promise<StoredNote | null> => Promise.resolve(this.away ? null : { ...this.note });

  save = ({ text, version }: StoredNote): Promise<SaveResult> => {
    if (this.away) return Promise.resolve({ is: 'away' });
    this.saves += 1;
    if (version !== this.note.version) {
      return Promise.resolve({ is: 'changed', current: { ...this.note } });
    }
    this.note = { text, version: version + 1 };
    if (this.loseAnswer) {
      this.loseAnswer = false;
      return Promise.resolve({ is: 'away' });
    }
    return Promise.resolve({ is: 'stored', note: { ...this.note } });
  };

  other(text: string): void {
    this.note = { text, version: this.note.version + 1 };
  }
}

let server: NoteServer;
let states: NoteState[];
let keeper: NoteKeeper;

beforeEach(async () => {
  vi.useFakeTimers();
  server = new NoteServer();
  states = [];
  keeper = new NoteKeeper({
    load: server.load,
    save: server.save,
    onChange: ({ state }) => states.push(state),
  });
  await keeper.load();
});

afterEach(() => {
  vi.useRealTimers();
});

const typed = async (text: string) => {
  keeper.edit(text);
  await vi.advanceTimersByTimeAsync(PAUSE_MS);
};

describe('the note', () => {
  it('is saved after a pause in typing, once', async () => {
    keeper.edit('G');
    await vi.advanceTimersByTimeAsync(PAUSE_MS / 2);
    keeper.edit('Good');
    await vi.advanceTimersByTimeAsync(PAUSE_MS / 2);
    expect(server.saves).toBe(0);
    await vi.advanceTimersByTimeAsync(PAUSE_MS);
    expect(server.saves).toBe(1);
    expect(server.note.text).toBe('Good');
    expect(keeper.view.state).toBe('saved');
    expect(states).toEqual(['saved', 'unsaved', 'unsaved', 'saving', 'saved']);
  });

  it('saves what was typed while the first save was under way', async () => {
    keeper.edit('one');
    const saving = keeper.save();
    keeper.edit('one two');
    await saving;
    await vi.advanceTimersByTimeAsync(PAUSE_MS);
    expect(server.note.text).toBe('one two');
    expect(keeper.view.state).toBe('saved');
  });

  it('is kept here while the server is away, and saved when it is back', async () => {
    server.away = true;
    await typed('kept');
    expect(keeper.view).toMatchObject({ state: 'kept', text: 'kept' });
    expect(keeper.unsent).toBe(true);
    server.away = false;
    await keeper.retry();
    expect(keeper.view.state).toBe('saved');
    expect(server.note.text).toBe('kept');
  });

  it('whose answer was lost is not taken for another’s text', async () => {
    server.loseAnswer = true;
    await typed('mine');
    expect(keeper.view.state).toBe('kept');
    await keeper.retry();
    expect(keeper.view).toMatchObject({ state: 'saved', theirs: null });
  });

  it('changed elsewhere shows both texts and overwrites neither', async () => {
    server.other('theirs');
    await typed('mine');
    expect(keeper.view).toMatchObject({ state: 'conflict', text: 'mine', theirs: 'theirs' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.note.text).toBe('theirs');
  });

  it.each([
    ['mine' as const, 'mine'],
    ['theirs' as const, 'theirs'],
    ['both' as const, 'theirs\n\nmine'],
  ])('in conflict ends with %s', async (how, text) => {
    server.other('theirs');
    await typed('mine');
    await keeper.resolve(how);
    expect(keeper.view).toMatchObject({ state: 'saved', text, theirs: null });
    expect(server.note.text).toBe(text);
  });

  it('can be edited on while in conflict', async () => {
    server.other('theirs');
    await typed('mine');
    keeper.edit('mine, more');
    await keeper.resolve('mine');
    expect(server.note.text).toBe('mine, more');
  });

  it('typed before the stored one could be read is not lost, nor does it overwrite', async () => {
    server.note = { text: 'stored', version: 3 };
    server.away = true;
    const late = new NoteKeeper({ load: server.load, save: server.save, onChange: () => {} });
    await late.load();
    late.edit('typed');
    server.away = false;
    await late.save();
    expect(late.view).toMatchObject({ state: 'conflict', text: 'typed', theirs: 'stored' });
  });

  it('is read once at a time, and an answer that stalled undoes nothing', async () => {
    const answers: ((note: StoredNote | null) => void)[] = [];
    const slow = new NoteKeeper({
      load: () => new Promise((resolve) => answers.push(resolve)),
      save: server.save,
      onChange: () => {},
    });
    const asking = [slow.load(), slow.retry(), slow.retry()];
    answers[0]?.({ text: '', version: 0 });
    await vi.advanceTimersByTimeAsync(0);
    slow.edit('typed');
    await vi.advanceTimersByTimeAsync(PAUSE_MS);
    expect(server.note.text).toBe('typed');
    for (const stalled of answers.slice(1)) stalled({ text: '', version: 0 });
    await Promise.all(asking);
    expect(answers).toHaveLength(1);
    expect(slow.view).toMatchObject({ state: 'saved', text: 'typed' });
    expect(slow.unsent).toBe(false);
    await slow.load();
    expect(answers).toHaveLength(1);
  });

  it('that could not be read is asked for again', async () => {
    server.note = { text: 'stored', version: 3 };
    server.away = true;
    const late = new NoteKeeper({ load: server.load, save: server.save, onChange: () => {} });
    await late.load();
    server.away = false;
    await late.retry();
    expect(late.view).toMatchObject({ state: 'saved', text: 'stored' });
  });

  it('refused says so and keeps the text', async () => {
    const refused = new NoteKeeper({
      load: server.load,
      save: () => Promise.resolve({ is: 'refused' }),
      onChange: () => {},
    });
    await refused.load();
    refused.edit('text');
    await refused.save();
    expect(refused.view).toMatchObject({ state: 'stuck', text: 'text' });
  });
});
