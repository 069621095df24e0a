import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { stepKey, type Place } from '../../src/call/ladder-words';
import { Ladder, type Step, type StepReason } from '../../src/call/ladder.svelte';
import LadderLine from '../../src/call/LadderLine.svelte';
import { isKey, t } from '../../src/i18n/t';
import { readMessage as readLesson } from '../../src/lesson/wire';
import { announce, spoken } from '../../src/ui/announce.svelte';
import { readMessage as readVisit } from '../../src/visit/wire';

const STEPS: Step[] = ['low', 'slow', 'voice', 'text'];
const REASONS: StepReason[] = ['your_link', 'sender_link'];

it('has a sentence for every step, reason and place, and none for the highest', () => {
  for (const place of ['lesson', 'group', 'visit'] as Place[]) {
    for (const reason of REASONS) {
      expect(stepKey({ step: 'high', reason }, place)).toBeNull();
      for (const step of STEPS) expect(isKey(stepKey({ step, reason }, place) ?? '')).toBe(true);
    }
  }
});

it('is read from both sockets', () => {
  const text = '{"type":"media_step","step":"voice","reason":"your_link"}';
  expect(readLesson(text)).toMatchObject({ step: 'voice' });
  expect(readVisit(text)).toMatchObject({ step: 'voice' });
});

describe('the line', () => {
  let ladder: Ladder;
  let line: ReturnType<typeof mount>;
  const shown = () => document.querySelector('[data-testid=ladder]');

  beforeEach(() => {
    vi.useFakeTimers();
    ladder = new Ladder();
    line = mount(LadderLine, { target: document.body, props: { ladder, place: 'lesson' } });
    flushSync();
  });
  afterEach(async () => {
    await unmount(line);
    vi.useRealTimers();
  });

  const stand = (step: Step, reason: StepReason = 'your_link') => {
    ladder.stand({ step, reason });
    flushSync();
  };

  it('says what is left out, and that it is back, but does not flash', () => {
    expect(shown()).toBeNull();
    stand('voice');
    expect(shown()?.textContent).toContain(t('ladder.voice_lesson'));
    expect(spoken()).toBe(t('ladder.voice_lesson'));
    expect(ladder.pictureless).toBe(true);
    stand('high');
    expect(ladder.pictureless).toBe(false);
    vi.advanceTimersByTime(2_000);
    flushSync();
    expect(shown()).not.toBeNull();
    vi.advanceTimersByTime(1_000);
    flushSync();
    expect(shown()).toBeNull();
    expect(spoken()).toBe(t('ladder.back'));
  });

  it('says nothing of a link of which nothing is known: media that began anew are not well yet', () => {
    stand('voice');
    announce('before');
    ladder.again();
    expect(ladder.pictureless).toBe(false);
    flushSync();
    vi.advanceTimersByTime(9_000);
    flushSync();
    expect(shown()).toBeNull();
    expect(spoken()).toBe('before');
  });

  it('is quiet while a link wavers', () => {
    stand('low');
    vi.advanceTimersByTime(60_000);
    announce('before');
    for (let n = 0; n < 4; n += 1) {
      stand('high');
      vi.advanceTimersByTime(2_000);
      stand('low');
      vi.advanceTimersByTime(2_000);
    }
    expect(spoken()).toBe('before');
    expect(shown()).not.toBeNull();
  });

  it('goes on with the next step at once, also while it waits to go', () => {
    stand('text');
    expect(ladder.voiceless).toBe(true);
    stand('high');
    stand('low', 'sender_link');
    expect(shown()?.textContent).toContain(t('ladder.low_sender_link'));
    vi.advanceTimersByTime(9_000);
    flushSync();
    expect(shown()).not.toBeNull();
  });
});
