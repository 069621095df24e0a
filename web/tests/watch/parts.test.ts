import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Problem, serverAway } from '../../src/api/problem';
import { keepPlace, placeOf } from '../../src/watch/memory';
import {
  chapterAt,
  clockText,
  deckOf,
  gapAt,
  gapSeconds,
  shareOf,
  type Chapter,
} from '../../src/watch/timeline';
import { untilAnswered } from '../../src/watch/until';

const chapters: Chapter[] = [
  { start_ms: 3_000, deck_id: 'a', page: 1, title: 'Дроби' },
  { start_ms: 9_000, deck_id: 'a', page: 3, title: null },
  { start_ms: 20_000, deck_id: 'b', page: 1, title: 'Задачи' },
];

describe('the time line', () => {
  it('says which slide is shown, and none before the first', () => {
    expect([0, 2_999, 3_000, 8_999, 9_000, 50_000].map((ms) => chapterAt(chapters, ms))).toEqual([
      -1, -1, 0, 0, 1, 2,
    ]);
  });

  it('says inside which gap it is, to the millisecond', () => {
    const gap = { start_ms: 5_000, duration_ms: 4_200 };
    expect([4_999, 5_000, 9_199, 9_200].map((ms) => gapAt([gap], ms))).toEqual([
      null,
      gap,
      gap,
      null,
    ]);
    expect(gapSeconds(gap)).toBe(4);
    expect(gapSeconds({ start_ms: 0, duration_ms: 80 })).toBe(1);
  });

  it('is told as a clock, with hours only when there are some', () => {
    expect([0, 65_900, 3_600_000, 7_384_000].map(clockText)).toEqual([
      '0:00',
      '1:05',
      '1:00:00',
      '2:03:04',
    ]);
  });

  it('has its marks inside it', () => {
    expect(shareOf(5_000, 20_000)).toBe(25);
    expect(shareOf(30_000, 20_000)).toBe(100);
    expect(shareOf(1, 0)).toBe(0);
  });

  it('knows earlier slides by their chapters, and the present ones whole', () => {
    const present = { id: 'b', name: 'Задачи.pdf', pages: 9, texts: ['Задачи'] };
    expect(deckOf(chapters[2]!, chapters, present)).toBe(present);
    expect(deckOf(chapters[0]!, chapters, present)).toEqual({
      id: 'a',
      name: '',
      pages: 3,
      texts: ['Дроби', '', ''],
    });
  });
});

describe('the place where a person stopped', () => {
  beforeEach(() => localStorage.clear());

  it('is each person’s and each lesson’s own', () => {
    keepPlace('ildar', 'one', 61.7, 600);
    keepPlace('ildar', 'two', 200, 600);
    expect(placeOf('ildar', 'one')).toBe(61);
    expect(placeOf('ildar', 'two')).toBe(200);
    expect(placeOf('amina', 'one')).toBe(0);
  });

  it('is forgotten when the lesson was seen to its end', () => {
    keepPlace('ildar', 'one', 61, 600);
    keepPlace('ildar', 'one', 595, 600);
    expect(placeOf('ildar', 'one')).toBe(0);
  });

  it('is kept for the newest lessons only', () => {
    for (let lesson = 0; lesson <= 50; lesson += 1) keepPlace('ildar', `${lesson}`, 100, 600);
    expect(placeOf('ildar', '0')).toBe(0);
    expect(placeOf('ildar', '1')).toBe(100);
  });

  it.each(['no JSON', '{}', '[1, ["a"], ["ildar/one", "x"]]'])('survives %s in storage', (text) => {
    localStorage.setItem('yanasha.watch', text);
    expect(placeOf('ildar', 'one')).toBe(0);
    keepPlace('ildar', 'one', 100, 600);
    expect(placeOf('ildar', 'one')).toBe(100);
  });
});

describe('asking until there is an answer', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const asking = (answers: (Error | string)[], afterMs = 0) => {
    const heard: string[] = [];
    let asked = 0;
    const stop = untilAnswered(
      () => {
        const answer = answers[Math.min(asked, answers.length - 1)]!;
        asked += 1;
        return typeof answer === 'string' ? Promise.resolve(answer) : Promise.reject(answer);
      },
      {
        onanswer: (answer) => heard.push(answer),
        onrefused: (problem) => heard.push(problem.code),
        onaway: () => heard.push('away'),
      },
      afterMs,
    );
    return { heard, stop, asked: () => asked };
  };

  it('pauses while the server is away, longer each time, and ends with the answer', async () => {
    const { heard, asked } = asking([serverAway(), serverAway(), 'here']);
    await vi.advanceTimersByTimeAsync(0);
    expect([asked(), heard]).toEqual([1, ['away']]);
    await vi.advanceTimersByTimeAsync(1_499);
    expect(asked()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked()).toBe(2);
    await vi.advanceTimersByTimeAsync(2_999);
    expect(asked()).toBe(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([asked(), heard]).toEqual([3, ['away', 'away', 'here']]);
  });

  it('is tried at once when the network is back', async () => {
    const { heard } = asking([serverAway(), 'here']);
    await vi.advanceTimersByTimeAsync(0);
    window.dispatchEvent(new Event('online'));
    await vi.advanceTimersByTimeAsync(0);
    expect(heard).toEqual(['away', 'here']);
  });

  it('ends with a refusal: asking again would not change it', async () => {
    const { heard, asked } = asking([new Problem(404, {}, null)]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([asked(), heard]).toEqual([1, ['not_found']]);
  });

  it('stops when told, and begins no earlier than told', async () => {
    const late = asking(['here'], 3_000);
    await vi.advanceTimersByTimeAsync(2_999);
    expect(late.asked()).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(late.heard).toEqual(['here']);
    const stopped = asking([serverAway(), 'here']);
    await vi.advanceTimersByTimeAsync(0);
    stopped.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stopped.heard).toEqual(['away']);
  });
});
