/** The lesson room: the socket, the media, and what the server says is the case for everybody. */

import { problemText, toProblem, type Problem } from '../api/problem';
import type { Lesson } from '../api/types';
import { Ladder } from '../call/ladder.svelte';
import type { Words } from '../call/link-words';
import type { DeviceKind } from '../call/wire';
import type { Phase } from '../live/link';
import { RoomSocket } from '../live/socket';
import { rememberJoin, rememberedJoin, uuid4 } from '../live/tab';
import { fetchTicket, socketUrl } from '../live/ticket';
import { followWakes } from '../live/wake';
import { signInAgain } from '../session.svelte';
import { toast } from '../ui/announce.svelte';
import { LessonCall, type LessonCallView } from './call';
import * as rest from './rest';
import { groupOf } from './groups';
import { Slides } from './slides.svelte';
import { sendsNow, stageOf, type Sends, type Source } from './stage';
import { Talk } from './talk.svelte';
import {
  readMessage,
  type Audience,
  type ClientMessage,
  type Member,
  type NewGroups,
  type RecordingConsents,
  type RoomNow,
  type ServerMessage,
} from './wire';

const RETRY_MS = 2_000;
/** After media has come back, the teacher's picture may take so long to be known again. */
const HELD_MS = 8_000;
const NOTHING_SENT: Sends = { audio: false, video: false, screen: false };

export class LessonRoom {
  readonly id: string;
  lesson = $state.raw<Lesson | null>(null);
  /** Why the lesson itself could not be shown. */
  problem = $state.raw<Problem | null>(null);
  phase = $state<Phase>('idle');
  everOpen = $state(false);
  you = $state<string | null>(null);
  now = $state.raw<RoomNow | null>(null);
  members = $state.raw<readonly Member[]>([]);
  mediaAway = $state(false);
  /** What links are worth now, by person: the teacher's page hears everybody's. */
  words = $state.raw<Words>({});
  /** Who speaks, by what the senders say of their loudness. */
  speaking = $state<string | null>(null);
  storesAway = $state(false);
  signedOut = $state(false);
  /** What the teacher sends, as far as is known. */
  sends = $state.raw<Sends>(NOTHING_SENT);
  /** What this person wants large. */
  wanted = $state<Source | null>(null);
  /** The act under way, so that its button says so. */
  busy = $state<string | null>(null);
  /** The floor was given without having been asked for: the microphone waits for a tap. */
  invited = $state(false);
  call = $state.raw<LessonCallView>() as LessonCallView;
  readonly ladder = new Ladder();

  /** Who of those present has not agreed to the recording; asked for while it waits. */
  consents = $state.raw<RecordingConsents | null>(null);

  readonly teacher = $derived(this.lesson?.my_side === 'teacher');
  readonly state = $derived(this.now?.state ?? this.lesson?.state ?? 'planned');
  readonly presenter = $derived(this.members.find(({ side }) => side === 'teacher') ?? null);
  readonly pupils = $derived(
    this.members
      .filter(({ side }) => side === 'pupil')
      .toSorted((a, b) => Number(b.online) - Number(a.online) || a.name.localeCompare(b.name)),
  );
  readonly floor = $derived(this.now?.floor ?? null);
  readonly mine = $derived(this.floor !== null && this.floor.person.id === this.you);
  /** Place in the queue, 0 without a raised hand. */
  readonly place = $derived(
    (this.now?.hands ?? []).findIndex(({ person }) => person.id === this.you) + 1,
  );
  readonly on = $derived.by((): Record<Source, boolean> => {
    const { call, sends, teacher } = this;
    const comes = call.joined && !this.ladder.pictureless;
    const speaker = this.members.find(({ id }) => id === this.floor?.person.id);
    return {
      screen: teacher ? call.screen : sends.screen && comes,
      slide: this.slides.deck !== null && this.slides.page !== null,
      camera: teacher ? call.camera : sends.video && comes,
      floor: speaker?.video === true && (this.mine ? call.camera : !this.ladder.pictureless),
    };
  });
  /** The group this person sits in now; null: the class. */
  readonly group = $derived(groupOf(this.now?.groups ?? null, this.you, this.teacher));
  readonly stage = $derived(stageOf(this.on, this.wanted));

  readonly calling: LessonCall;
  readonly talk: Talk;
  readonly slides: Slides;
  readonly #socket: RoomSocket<ServerMessage, ClientMessage>;
  #retrier: ReturnType<typeof setInterval> | undefined;
  #heldUntil = 0;
  #sat: string | null | undefined;

  constructor(id: string) {
    this.id = id;
    this.#socket = new RoomSocket({
      url: socketUrl('lessons', id),
      tab: uuid4(),
      ticket: () => fetchTicket('lessons', id),
      resume: () => this.calling.alive,
      read: readMessage,
      welcome: 'lesson_welcome',
      onMessage: (message) => this.#heard(message),
      onPhase: (phase) => this.#phase(phase),
    });
    this.calling = new LessonCall({
      send: (message) => this.#socket.send(message),
      may: () => (this.teacher ? ['audio', 'video', 'screen'] : ['audio', 'video']),
      hears: () => this.#socket.hears,
      silent: () => this.#socket.silent(),
      expects: () => ({
        audio: false,
        video: !this.teacher && this.sends.video && !this.ladder.pictureless,
      }),
      onChange: (view) => (this.call = view),
    });
    this.call = this.calling.view;
    this.talk = new Talk(id);
    this.slides = new Slides(id);
  }

  /** Enter; answers how to leave. */
  enter(): () => void {
    void this.load();
    this.#retrier = setInterval(() => this.#retry(), RETRY_MS);
    const sleep = followWakes(() => this.#socket.wake());
    return () => {
      sleep();
      clearInterval(this.#retrier);
      this.#socket.stop();
      this.calling.leave();
    };
  }

  /** Read the lesson and, the first time, start everything that hangs on it. */
  async load(): Promise<void> {
    const first = this.lesson === null;
    try {
      this.lesson = await rest.loadLesson(this.id);
      this.problem = null;
    } catch (error) {
      if (first) this.problem = toProblem(error);
      return;
    }
    if (!first || this.state === 'ended') return;
    this.#socket.start();
    await this.#rejoin();
  }

  /** Back in as before the reload: with the devices that were open then. */
  async #rejoin(): Promise<void> {
    const choice = rememberedJoin('lesson', this.id);
    if (choice === null) return;
    if (this.teacher) await this.calling.open(choice);
    this.calling.join();
  }

  /** Come into the lesson; only the teacher's devices are asked for. */
  async join(): Promise<void> {
    rememberJoin('lesson', this.id, this.teacher ? 'camera' : 'listen');
    const { localAudio, localVideo } = this.call;
    if (this.teacher && localAudio === null && localVideo === null) {
      await this.calling.open('camera');
    }
    this.calling.join();
  }

  /** Open the lesson and come into it. */
  async open(): Promise<void> {
    const opened = await this.act('open', async () =>
      this.#lessonIs(await rest.openLesson(this.id)),
    );
    if (opened) await this.join();
  }

  end(): Promise<boolean> {
    return this.act('end', async () => this.#lessonIs(await rest.endLesson(this.id)));
  }

  leave(): void {
    rememberJoin('lesson', this.id, null);
    if (this.place > 0) void rest.lowerHand(this.id).catch(() => undefined);
    if (this.mine) void rest.takeFloor(this.id).catch(() => undefined);
    this.calling.leave();
    // Media that ended for us must end at the server too: a new link forgets the old media.
    this.#socket.renew();
  }

  toggleHand(): Promise<boolean> {
    return this.act('hand', () =>
      this.place > 0 ? rest.lowerHand(this.id) : rest.raiseHand(this.id),
    );
  }

  lowerOther(personId: string): Promise<boolean> {
    return this.act(`lower ${personId}`, () => rest.lowerOther(this.id, personId));
  }

  giveFloor(personId: string, kinds: DeviceKind[]): Promise<boolean> {
    return this.act(`floor ${personId}`, async () =>
      this.#roomIs(await rest.giveFloor(this.id, personId, kinds)),
    );
  }

  /** The teacher takes the floor back, or its holder gives it back. */
  takeFloor(): Promise<boolean> {
    return this.act('floor', () => rest.takeFloor(this.id));
  }

  /** Open the microphone: this person has the floor. */
  async speak(): Promise<void> {
    this.invited = false;
    if (!this.call.mic) await this.calling.toggleMic();
    // Given back while the browser was still asking.
    if (!this.mine) this.calling.silence();
    else rememberJoin('lesson', this.id, 'audio');
  }

  record(on: boolean, audience: Audience | null): Promise<boolean> {
    return this.act('record', async () => this.#roomIs(await rest.record(this.id, on, audience)));
  }

  /** Look who has not agreed to be recorded for this circle; what is known stays when that fails. */
  async lookAtConsents(audience: Audience): Promise<void> {
    try {
      this.consents = await rest.loadRecordingConsents(this.id, audience);
    } catch {
      // The recording itself is the server's to refuse.
    }
  }

  divide(groups: NewGroups): Promise<boolean> {
    return this.act('divide', async () => this.#roomIs(await rest.divide(this.id, groups)));
  }

  callBack(): Promise<boolean> {
    return this.act('call_back', () => rest.callBack(this.id));
  }

  /** The teacher goes to a group, or back; the page moves when the server has moved its seat. */
  visit(number: number | null): Promise<boolean> {
    return this.act(`visit ${number ?? ''}`, () => rest.visitGroup(this.id, number));
  }

  judge(messageId: string, state: 'approved' | 'refused'): Promise<boolean> {
    return this.act(`message ${messageId}`, () => this.talk.judge(messageId, state));
  }

  hold(held: boolean): Promise<boolean> {
    return this.act('hold', () => rest.holdChat(this.id, held));
  }

  /** Bring the lesson back to this tab. */
  takeBack(): void {
    this.#socket.takeBack();
    void this.#rejoin();
  }

  /** Ask for signing in over this page; afterwards everything goes on where it was. */
  async signIn(): Promise<void> {
    this.signedOut = true;
    if (!(await signInAgain())) return;
    this.signedOut = false;
    this.#socket.signedIn();
    this.#retry();
  }

  /** Do something the server must agree to; false, and a word, when it did not. */
  async act(what: string, verb: () => Promise<unknown>): Promise<boolean> {
    if (this.busy === what) return false;
    this.busy = what;
    try {
      await verb();
      return true;
    } catch (error) {
      toast(problemText(toProblem(error)), 'trouble');
      return false;
    } finally {
      if (this.busy === what) this.busy = null;
    }
  }

  #phase(phase: Phase): void {
    const before = this.phase;
    this.phase = phase;
    if (phase === 'open') {
      this.everOpen = true;
      return;
    }
    if (before === 'open') {
      this.calling.linkDown();
      this.words = {};
      this.mediaAway = false;
    }
    if (phase === 'expired') void this.signIn();
    if (phase === 'replaced') this.calling.leave();
    if (phase === 'refused') void this.#refused();
  }

  /** Ended while we were away, most likely: show it as it is now. */
  async #refused(): Promise<void> {
    await this.load();
    if (this.lesson !== null) this.#lessonIs(this.lesson);
  }

  #heard(message: ServerMessage): void {
    switch (message.type) {
      case 'lesson_welcome':
        this.#anew();
        this.you = message.you;
        this.slides.deck = message.deck;
        this.calling.ready();
        this.#present(message.members);
        this.#roomIs(message.room);
        this.#seated();
        this.talk.back();
        return;
      case 'presence':
        this.#present(message.members);
        return;
      case 'offer':
        this.#back();
        this.calling.offer(message);
        return;
      case 'media_step':
        this.ladder.stand(message);
        return;
      case 'speaking':
        this.speaking = message.member;
        return;
      case 'media_words':
        this.words = message.words;
        return;
      case 'media_away':
        this.mediaAway = true;
        this.#anew();
        this.calling.mediaAway();
        return;
      case 'media_back':
        this.#back();
        this.calling.mediaBack();
        return;
      case 'lesson':
        this.#roomIs(message.room);
        this.#seated();
        return;
      case 'slide':
        this.slides.turned(message.deck_id, message.page);
        return;
      case 'chat':
        this.talk.add(message.message);
        return;
      case 'stores_away':
        this.storesAway = true;
        return;
      case 'stores_back':
        this.storesAway = false;
        this.talk.back();
        return;
      case 'way_back':
      case 'pong':
      case 'problem':
      case 'signed_out':
        return;
    }
  }

  /** What was told of media before holds no more; a server that knows says it after its welcome. */
  #anew(): void {
    this.speaking = null;
    this.ladder.again();
  }

  #back(): void {
    if (this.mediaAway) this.#heldUntil = Date.now() + HELD_MS;
    this.mediaAway = false;
  }

  #present(members: readonly Member[]): void {
    this.members = members;
    const { audio, video, screen } = this.presenter ?? NOTHING_SENT;
    const held = this.mediaAway || Date.now() < this.#heldUntil;
    this.sends = sendsNow(this.sends, { audio, video, screen }, held);
  }

  /** The server has moved this seat: media of the old room are worth nothing in the new one. */
  #seated(): void {
    const room = this.group?.room ?? null;
    if (this.#sat !== undefined && this.#sat !== room) {
      this.ladder.again();
      this.calling.moved(!this.teacher);
    }
    this.#sat = room;
  }

  #lessonIs(lesson: Lesson): void {
    this.lesson = lesson;
    if (this.now !== null)
      this.#roomIs({ ...this.now, slide: this.slides.shown, state: lesson.state });
    else if (lesson.state === 'ended') this.#ended();
  }

  #roomIs(next: RoomNow): void {
    const asked = this.now?.hands.some(({ person }) => person.id === this.you) ?? false;
    const had = this.mine;
    const waited = this.now?.recording.paused ?? false;
    this.now = next;
    if (next.recording.paused && !waited) this.#mindPause();
    if (next.state === 'ended') {
      this.#ended();
      return;
    }
    this.slides.show(next.slide);
    if (this.teacher || had === this.mine) return;
    if (!this.mine) {
      this.invited = false;
      this.calling.silence();
      if (this.call.joined) rememberJoin('lesson', this.id, 'listen');
      return;
    }
    // Whoever asked to speak, or spoke before a reload, is heard at once; others say so first.
    const spoke = rememberedJoin('lesson', this.id) === 'audio';
    if ((asked || spoke) && this.call.joined) void this.speak();
    else this.invited = true;
  }

  /** The recording waits: who it waits for changes while people come, go and agree. */
  #mindPause(): void {
    const { recording } = this.now ?? {};
    if (recording?.paused) void this.lookAtConsents(recording.audience ?? 'class');
  }

  #ended(): void {
    this.calling.leave();
    this.#socket.stop();
    rememberJoin('lesson', this.id, null);
    if (this.lesson !== null) this.lesson = { ...this.lesson, state: 'ended' };
  }

  /** What could not be had or sent before: again, every few seconds. */
  #retry(): void {
    if (this.signedOut) return;
    if (this.lesson === null) {
      if (this.problem?.passing === true) void this.load();
      return;
    }
    if (this.phase !== 'open') return;
    this.talk.retry();
    this.#mindPause();
    this.slides.retry();
    if (this.#heldUntil > 0 && Date.now() >= this.#heldUntil) {
      this.#heldUntil = 0;
      this.#present(this.members);
    }
  }
}
