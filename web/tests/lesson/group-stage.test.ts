import { render, screen } from '@testing-library/svelte';
import { flushSync } from 'svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import '../../src/i18n/lesson';
import GroupStage from '../../src/lesson/GroupStage.svelte';
import Panels from '../../src/lesson/Panels.svelte';
import { LessonRoom } from '../../src/lesson/room.svelte';

const GROUP = { number: 6, room: 'g 6', endsAt: '2026-03-01T10:10:00Z', visited: false };
const track = (): MediaStreamTrack => ({}) as MediaStreamTrack;

let began: unknown[];
let plays: ReturnType<typeof vi.fn>;
let room: LessonRoom;

beforeEach(() => {
  began = [];
  plays = vi.fn(() => Promise.resolve());
  vi.stubGlobal('MediaStream', class {});
  const held = new WeakMap<object, unknown>();
  Object.defineProperties(HTMLMediaElement.prototype, {
    play: { configurable: true, value: plays },
    srcObject: {
      configurable: true,
      get(this: object) {
        return held.get(this) ?? null;
      },
      set(this: object, stream: unknown) {
        held.set(this, stream);
        began.push(this);
      },
    },
  });
  room = new LessonRoom('l');
  room.you = 'me';
  room.members = [
    {
      id: 'a',
      name: 'Амина',
      side: 'pupil',
      online: true,
      audio: true,
      video: true,
      screen: false,
    },
  ];
});
afterEach(() => {
  Reflect.deleteProperty(HTMLMediaElement.prototype, 'srcObject');
  Reflect.deleteProperty(HTMLMediaElement.prototype, 'play');
  vi.unstubAllGlobals();
});

/** The view of a call is another object each second, with what arrives in it. */
function arrives(voice: MediaStreamTrack, camera: MediaStreamTrack | null = null): void {
  room.call = { ...room.call, others: [{ member: 'a', voice, camera, screen: null }] };
  flushSync();
}

it('lets voices and pictures go on while the view of the call changes', () => {
  const [voice, camera] = [track(), track()];
  arrives(voice, camera);
  render(GroupStage, { room, group: GROUP });
  flushSync();
  const before = [began.length, plays.mock.calls.length];
  expect(before).toEqual([2, 2]);
  arrives(voice, camera);
  arrives(voice, camera);
  expect([began.length, plays.mock.calls.length]).toEqual(before);
  arrives(track(), camera);
  expect([began.length, plays.mock.calls.length]).toEqual([3, 3]);
});

it('shows no frozen picture on a link that carries none', () => {
  arrives(track(), track());
  const { container } = render(GroupStage, { room, group: GROUP });
  expect(container.querySelectorAll('video')).toHaveLength(1);
  room.ladder.stand({ step: 'voice', reason: 'your_link' });
  flushSync();
  expect(container.querySelectorAll('video')).toHaveLength(0);
});

it('opens the chat when only what is written gets through, but not under an open dialog', () => {
  const chat = (): string | null => screen.getByTestId('tab-chat').getAttribute('aria-pressed');
  const dialog = document.body.appendChild(document.createElement('dialog'));
  dialog.setAttribute('open', '');
  render(Panels, { room });
  room.ladder.stand({ step: 'text', reason: 'your_link' });
  flushSync();
  expect(chat()).toBe('false');
  dialog.remove();
  room.ladder.again();
  flushSync();
  room.ladder.stand({ step: 'text', reason: 'your_link' });
  flushSync();
  expect(chat()).toBe('true');
});

it('counts who sits in a group among those who are here', () => {
  const [one] = room.members;
  room.members = [{ ...one!, online: false }];
  render(Panels, { room });
  const shown = (): string | null => screen.getByTestId('tab-class').textContent;
  expect(shown()).toContain('0');
  const times = { since: GROUP.endsAt, ends_at: GROUP.endsAt };
  const groups = [{ number: 1, members: [{ id: 'a', name: 'Амина' }] }];
  const person = { id: 't', name: 'Т' };
  room.now = {
    state: 'running',
    opened_at: null,
    ended_at: null,
    teacher: person,
    slide: null,
    hands: [],
    floor: null,
    recording: { on: false, since: null, audience: null, paused: false },
    chat_held: false,
    groups: { id: 'g', visited: null, ...times, groups },
  };
  flushSync();
  expect(shown()).toContain('1');
});
