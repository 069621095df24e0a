import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
import { LessonRoom } from '../../src/lesson/room.svelte';
import type { ClientMessage, Member, RoomNow, ServerMessage } from '../../src/lesson/wire';
import { network, type Sent } from '../network';

const ID = '0197aaaa-0000-7000-8000-00000000000a';
const TEACHER = { id: 'teacher', name: 'Зөлфия Нигматуллина' };
const ME = { id: 'me', name: 'Айдар Вәлиев' };
const OTHER = { id: 'other', name: 'София Кузнецова' };
const lesson = (my_side: 'teacher' | 'pupil') => ({
  id: ID,
  title: 'Сүз төркемнәре',
  subject: 'Татар теле',
  class_name: '7А',
  starts_at: new Date().toISOString(),
  ends_at: new Date(Date.now() + 2_700_000).toISOString(),
  my_side,
  teacher: TEACHER,
  organisation: { id: 's', name: 'Гимназия № 2' },
  state: 'running',
});
const still: RoomNow = {
  state: 'running',
  opened_at: null,
  ended_at: null,
  teacher: TEACHER,
  slide: null,
  hands: [],
  floor: null,
  recording: { on: false, since: null, audience: null, paused: false },
  chat_held: true,
  groups: null,
};
const raised = (person: { id: string; name: string }) => ({
  person,
  raised_at: '2026-03-01T10:00Z',
});
const floorOf = (person: { id: string; name: string }): RoomNow['floor'] => ({
  person,
  kinds: ['audio'],
  since: '2026-03-01T10:00:00Z',
});
const member = (
  who: { id: string; name: string },
  side: Member['side'],
  video = false,
): Member => ({
  ...who,
  side,
  online: true,
  audio: video,
  video,
  screen: false,
});

/** A socket of the browser that opens at once; the test speaks for the server. */
class Socket extends EventTarget {
  static readonly OPEN = 1;
  static last: Socket | undefined;
  readonly readyState = 1;
  readonly sent: ClientMessage[] = [];
  onopen: (() => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  constructor() {
    super();
    Socket.last = this;
    queueMicrotask(() => this.onopen?.());
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }
  close(): void {}
  say(message: ServerMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  of<T extends ClientMessage['type']>(type: T) {
    return this.sent.filter((one) => one.type === type) as Extract<ClientMessage, { type: T }>[];
  }
}

function socket(): Socket {
  if (Socket.last === undefined) throw new Error('no socket yet');
  return Socket.last;
}

/** Kinds the browser was asked for. */
let asked: string[];
let refuse: string | null;
let stops: Mock;
type Mock = ReturnType<typeof vi.fn>;
let sent: Sent[];
let leave: (() => void) | null = null;

const track = (kind: string) => ({ kind, enabled: true, stop: stops, onended: null });

beforeEach(() => {
  asked = [];
  refuse = null;
  stops = vi.fn();
  sessionStorage.clear();
  setLanguage('en');
  vi.stubGlobal('WebSocket', Socket);
  Object.defineProperty(navigator, 'mediaDevices', {
    configurable: true,
    value: {
      getUserMedia: (wanted: { audio?: unknown; video?: unknown }) => {
        const kinds = (['audio', 'video'] as const).filter((kind) => wanted[kind]);
        asked.push(kinds.join('+'));
        if (refuse !== null) return Promise.reject(new DOMException('no', refuse));
        const tracks = kinds.map(track);
        return Promise.resolve({
          getTracks: () => tracks,
          getAudioTracks: () => tracks.filter(({ kind }) => kind === 'audio'),
          getVideoTracks: () => tracks.filter(({ kind }) => kind === 'video'),
        });
      },
    },
  });
});

afterEach(() => {
  leave?.();
  leave = null;
  Reflect.deleteProperty(navigator, 'mediaDevices');
  vi.unstubAllGlobals();
});

/** A page of the lesson whose link is open. */
async function enter(side: 'teacher' | 'pupil', now: RoomNow = still): Promise<LessonRoom> {
  sent = network({
    [`GET /api/v1/lessons/${ID}`]: { body: lesson(side) },
    [`GET /api/v1/lessons/${ID}/messages`]: { body: [] },
    [`GET /api/v1/lessons/${ID}/slides`]: {
      body: { id: 'deck', name: 'words.pdf', pages: 4, texts: ['', '', '', ''] },
    },
    [`PUT /api/v1/lessons/${ID}/hand`]: { status: 204 },
    [`DELETE /api/v1/lessons/${ID}/hand`]: { status: 204 },
    [`DELETE /api/v1/lessons/${ID}/floor`]: { status: 204 },
  });
  const requests = fetch;
  vi.stubGlobal('fetch', (request: Request | string) =>
    typeof request === 'string'
      ? Promise.resolve(new Response('{"ticket":"t"}', { status: 200 }))
      : requests(request),
  );
  const older = Socket.last;
  const room = new LessonRoom(ID);
  leave = room.enter();
  await vi.waitFor(() => {
    expect(Socket.last).not.toBe(older);
    expect(Socket.last?.of('hello')).toHaveLength(1);
  });
  welcome(side, now);
  return room;
}

function welcome(side: 'teacher' | 'pupil', now: RoomNow): void {
  socket().say({
    type: 'lesson_welcome',
    resume_token: '',
    ice_servers: [],
    you: side === 'teacher' ? TEACHER.id : ME.id,
    side,
    members: [member(TEACHER, 'teacher'), member(ME, 'pupil'), member(OTHER, 'pupil')],
    room: now,
    deck: null,
    server_time: '2026-03-01T10:00:00Z',
  });
}

const told = (now: Partial<RoomNow>) =>
  socket().say({ type: 'lesson', room: { ...still, ...now } });
const mutes = (kind: string) =>
  socket()
    .of('mute')
    .filter((mute) => mute.kind === kind)
    .map(({ muted }) => muted);

describe('a pupil', () => {
  it('joins with one tap, muted, and the browser is asked for nothing', async () => {
    const room = await enter('pupil');
    await room.join();
    expect(asked).toEqual([]);
    expect(socket().of('media_ready')).toEqual([
      { type: 'media_ready', audio: true, video: true, screen: false, resume: [] },
    ]);
    expect([mutes('audio'), mutes('video')]).toEqual([[true], [true]]);
  });

  it('who raised the hand is asked for the microphone at the moment the floor comes', async () => {
    const room = await enter('pupil');
    await room.join();
    told({ hands: [raised(OTHER), raised(ME)] });
    expect(room.place).toBe(2);
    expect(asked).toEqual([]);
    told({ floor: floorOf(ME) });
    await vi.waitFor(() => expect(room.call.mic).toBe(true));
    expect(asked).toEqual(['audio']);
    expect(mutes('audio').at(-1)).toBe(false);
  });

  it('who did not ask for the floor is not listened to before he says so', async () => {
    const room = await enter('pupil');
    await room.join();
    told({ floor: floorOf(ME) });
    expect(room.invited).toBe(true);
    expect(asked).toEqual([]);
    await room.speak();
    expect(asked).toEqual(['audio']);
    expect(room.call.mic).toBe(true);
  });

  it('loses the microphone with the floor', async () => {
    const room = await enter('pupil');
    await room.join();
    told({ hands: [raised(ME)] });
    told({ floor: floorOf(ME) });
    await vi.waitFor(() => expect(room.call.mic).toBe(true));
    told({ floor: floorOf(OTHER) });
    expect(room.call.mic).toBe(false);
    expect(stops).toHaveBeenCalledTimes(1);
    expect(mutes('audio').at(-1)).toBe(true);
  });

  it('is told why when the microphone is refused, and keeps the floor to try again', async () => {
    const room = await enter('pupil');
    await room.join();
    refuse = 'NotAllowedError';
    told({ hands: [raised(ME)] });
    told({ floor: floorOf(ME) });
    await vi.waitFor(() => expect(room.call.trouble.audio).toBe('denied'));
    expect([room.mine, room.call.mic]).toEqual([true, false]);
    refuse = null;
    await room.calling.toggleMic();
    expect(room.call.mic).toBe(true);
  });

  it('speaks on after a reload in mid-sentence', async () => {
    sessionStorage.setItem('yanasha.lesson.joined', `${ID} audio`);
    const room = await enter('pupil', { ...still, floor: floorOf(ME) });
    await vi.waitFor(() => expect(room.call.mic).toBe(true));
    expect(room.invited).toBe(false);
  });

  it('raises the hand and lowers it again', async () => {
    const room = await enter('pupil');
    await room.join();
    await room.toggleHand();
    told({ hands: [raised(ME)] });
    await room.toggleHand();
    const hands = sent.filter(({ path }) => path.endsWith('/hand')).map(({ method }) => method);
    expect(hands).toEqual(['PUT', 'DELETE']);
  });

  it('keeps the teacher’s picture on the stage while media is away', async () => {
    const room = await enter('pupil');
    await room.join();
    const present = (video: boolean) =>
      socket().say({ type: 'presence', members: [member(TEACHER, 'teacher', video)] });
    present(true);
    expect(room.stage.shows).toBe('camera');
    socket().say({ type: 'media_away' });
    present(false);
    expect(room.stage.shows).toBe('camera');
  });

  it('forgets on which step it stood when the link, and with it the news of media, was lost', async () => {
    const room = await enter('pupil');
    await room.join();
    socket().say({ type: 'media_step', step: 'voice', reason: 'your_link' });
    socket().say({ type: 'speaking', member: TEACHER.id });
    expect(room.ladder.pictureless).toBe(true);
    welcome('pupil', still);
    expect([room.ladder.pictureless, room.speaking]).toEqual([false, null]);
  });

  it('has no microphone in the class that the browser gave only after the group was over', async () => {
    const room = await enter('pupil');
    await room.join();
    const until = '2026-03-01T10:10:00Z';
    const groups = [{ number: 1, members: [ME] }];
    told({ groups: { id: 'g', since: until, ends_at: until, visited: null, groups } });
    const asking = room.calling.toggleMic();
    told({ groups: null });
    await asking;
    expect(asked).toEqual(['audio']);
    expect(room.call.mic).toBe(false);
    expect(stops).toHaveBeenCalledTimes(1);
  });

  it('fetches slides it was not told of, and turns with the class', async () => {
    const room = await enter('pupil');
    await room.join();
    socket().say({ type: 'slide', deck_id: 'deck', page: 3, at: '2026-03-01T10:00:00Z' });
    await vi.waitFor(() => expect(room.slides.page).toBe(3));
    expect(room.stage.shows).toBe('slide');
  });

  it('is out, with devices off, when the lesson ends', async () => {
    const room = await enter('pupil');
    await room.join();
    told({ hands: [raised(ME)] });
    told({ floor: floorOf(ME) });
    await vi.waitFor(() => expect(room.call.mic).toBe(true));
    told({ state: 'ended' });
    expect([room.state, room.call.joined, room.call.mic]).toEqual(['ended', false, false]);
    expect(sessionStorage.getItem('yanasha.lesson.joined')).toBe(null);
  });
});

describe('a teacher', () => {
  it('joins with camera and microphone, and says which kinds are sent', async () => {
    const room = await enter('teacher');
    await room.join();
    expect(asked).toEqual(['audio+video']);
    expect(socket().of('media_ready')[0]).toMatchObject({ screen: true });
    expect([mutes('audio'), mutes('video'), mutes('screen')]).toEqual([[false], [false], [true]]);
  });

  it('teaches by voice when there is no camera', async () => {
    const room = await enter('teacher');
    refuse = 'NotFoundError';
    await room.join();
    expect(room.call.trouble).toEqual({ audio: 'absent', video: 'absent' });
    expect(room.call.joined).toBe(true);
    expect(mutes('video')).toEqual([true]);
  });
});
