// @vitest-environment node
import { describe, expect, it, vi } from 'vitest';
import { Problem, serverAway } from '../../src/api/problem';
import { ChatOutbox, mergeMessages, type OutgoingMessage } from '../../src/lesson/chat';
import { sendsNow, stageOf, type Source } from '../../src/lesson/stage';
import { Turner } from '../../src/lesson/turner';
import { readMessage, type ChatMessage } from '../../src/lesson/wire';

const on = (...sources: Source[]): Record<Source, boolean> => ({
  screen: sources.includes('screen'),
  slide: sources.includes('slide'),
  camera: sources.includes('camera'),
  floor: sources.includes('floor'),
});

describe('the stage', () => {
  it('shows the screen before the slide before the camera', () => {
    expect(stageOf(on('camera', 'slide', 'screen'), null).shows).toBe('screen');
    expect(stageOf(on('camera', 'slide'), null).shows).toBe('slide');
    expect(stageOf(on('camera'), null).shows).toBe('camera');
    expect(stageOf(on(), null)).toEqual({ shows: 'none', small: [] });
  });

  it('shows what the pupil wants, while it is on, and the rest small', () => {
    expect(stageOf(on('camera', 'slide', 'screen'), 'camera')).toEqual({
      shows: 'camera',
      small: ['screen', 'slide'],
    });
    expect(stageOf(on('slide'), 'camera')).toEqual({ shows: 'slide', small: [] });
  });

  it('does not take an outage for a camera put off', () => {
    const sent = { audio: true, video: true, screen: false };
    const nothing = { audio: false, video: false, screen: false };
    expect(sendsNow(sent, nothing, true)).toEqual(sent);
    expect(sendsNow(sent, nothing, false)).toEqual(nothing);
  });
});

const message = (id: string, at: number, state: ChatMessage['state'] = 'held'): ChatMessage => ({
  id,
  person: { id: 'p', name: 'Айдар' },
  text: id,
  sent_at: new Date(at).toISOString(),
  state,
  mine: true,
});

describe('the chat', () => {
  it('keeps one of each message, the newest state of it, in the order written', () => {
    const list = mergeMessages([message('b', 2), message('a', 1)], [message('b', 2, 'approved')]);
    expect(list.map(({ id, state }) => [id, state])).toEqual([
      ['a', 'held'],
      ['b', 'approved'],
    ]);
  });

  const outboxWith = (answers: (ChatMessage | Problem)[]) => {
    const sent: [string, string][] = [];
    const stored: string[] = [];
    const refused: string[] = [];
    let outgoing: readonly OutgoingMessage[] = [];
    const outbox = new ChatOutbox({
      send: (text, clientId) => {
        sent.push([text, clientId]);
        const answer = answers.shift() ?? serverAway();
        return answer instanceof Problem ? Promise.reject(answer) : Promise.resolve(answer);
      },
      onStored: ({ id }) => stored.push(id),
      onRefused: ({ code }) => refused.push(code),
      onChange: (now) => (outgoing = now),
    });
    return { outbox, sent, stored, refused, waiting: () => outgoing.map(({ text }) => text) };
  };
  const settled = () => new Promise((done) => setTimeout(done, 0));

  it('keeps what could not be sent and sends it again under the same id', async () => {
    const chat = outboxWith([serverAway(), message('one', 1)]);
    chat.outbox.write('Вопрос');
    await settled();
    expect(chat.waiting()).toEqual(['Вопрос']);
    await chat.outbox.retry();
    expect(chat.stored).toEqual(['one']);
    expect(chat.waiting()).toEqual([]);
    expect(new Set(chat.sent.map(([, id]) => id)).size).toBe(1);
  });

  it('sends by itself, when the server said, what was written too fast', async () => {
    vi.useFakeTimers();
    const chat = outboxWith([
      new Problem(429, { code: 'too_many_messages' }, 7),
      message('one', 1),
    ]);
    chat.outbox.write('Ещё вопрос');
    await vi.advanceTimersByTimeAsync(6_900);
    expect(chat.waiting()).toEqual(['Ещё вопрос']);
    await vi.advanceTimersByTimeAsync(200);
    vi.useRealTimers();
    expect(chat.stored).toEqual(['one']);
    expect(chat.waiting()).toEqual([]);
  });

  it('says of a refused message why, and goes on with the next', async () => {
    const chat = outboxWith([
      new Problem(409, { code: 'lesson_not_running' }, null),
      message('two', 2),
    ]);
    chat.outbox.write('первое');
    chat.outbox.write('второе');
    await settled();
    expect(chat.refused).toEqual(['lesson_not_running']);
    expect(chat.stored).toEqual(['two']);
  });
});

describe('turning slides', () => {
  it('shows the wish at once and sends only the newest of a fast row', async () => {
    const sent: number[] = [];
    const shown: (number | null)[] = [];
    const waiting: (() => void)[] = [];
    const turner = new Turner({
      send: (page) => {
        sent.push(page);
        return new Promise<void>((done) => waiting.push(done));
      },
      onFailed: () => {},
      onChange: (page) => shown.push(page),
    });
    turner.turn(2);
    turner.turn(3);
    turner.turn(4);
    expect(shown).toEqual([2, 3, 4]);
    waiting.shift()?.();
    await Promise.resolve();
    await Promise.resolve();
    waiting.shift()?.();
    await new Promise((done) => setTimeout(done, 0));
    expect(sent).toEqual([2, 4]);
    expect(shown.at(-1)).toBe(null);
  });

  it('goes back to what the class sees when the server says no', async () => {
    const failed: unknown[] = [];
    const shown: (number | null)[] = [];
    const turner = new Turner({
      send: () => Promise.reject(serverAway()),
      onFailed: (error) => failed.push(error),
      onChange: (page) => shown.push(page),
    });
    turner.turn(2);
    await new Promise((done) => setTimeout(done, 0));
    expect(shown).toEqual([2, null]);
    expect(failed).toHaveLength(1);
  });
});

it('passes over messages of a newer server', () => {
  expect(readMessage('{"type":"poll"}')).toBe(null);
  expect(readMessage('{"type":"media_away"}')).toEqual({ type: 'media_away' });
});
