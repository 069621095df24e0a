/** The visit room: the socket, the call, the lanes of readings and ECG, the note, and what is amiss. */

import type { Visit } from '../api/types';
import { toProblem, type Problem } from '../api/problem';
import { signInAgain } from '../session.svelte';
import { Call, type CallView } from '../call/call';
import type { JoinChoice } from '../call/devices';
import type { Words } from '../call/link-words';
import { Ladder } from '../call/ladder.svelte';
import type { Phase } from '../live/link';
import { RoomSocket } from '../live/socket';
import { rememberJoin, rememberedJoin, uuid4 } from '../live/tab';
import { fetchTicket, socketUrl } from '../live/ticket';
import { followWakes } from '../live/wake';
import { EcgStreams } from './ecg/streams.svelte';
import { NoteKeeper, type NoteView } from './note/keeper';
import { emptyDraft, isTyped, type Draft } from './readings/form';
import { merge } from './readings/list';
import { Outbox, type OutboxEntry } from './readings/outbox';
import * as rest from './rest';
import {
  readMessage,
  type ClientMessage,
  type EcgStreamInfo,
  type Member,
  type Reading,
  type ServerMessage,
} from './wire';

/** What is typed and not on the server yet. */
export type Unsent = 'note' | 'readings' | 'draft';

const RETRY_MS = 2_000;

export class Room {
  readonly id: string;
  visit = $state.raw<Visit | null>(null);
  /** Why the visit itself could not be shown. */
  problem = $state.raw<Problem | null>(null);
  phase = $state<Phase>('idle');
  everOpen = $state(false);
  members = $state.raw<readonly Member[]>([]);
  /** The other side switched the camera off, as the server told while this link was open. */
  otherCameraOff = $state(false);
  mediaAway = $state(false);
  /** What links are worth now, by person: the doctor's page hears both. */
  words = $state.raw<Words>({});
  /** Who speaks, by what the senders say of their loudness. */
  speaking = $state<string | null>(null);
  storesAway = $state(false);
  /** The session is over and the person has not signed in again: nothing is asked of the server. */
  signedOut = $state(false);
  /** The server's clock minus this device's (ms): a wrong clock must not make readings look old. */
  clockAheadMs = $state(0);
  readings = $state.raw<readonly Reading[]>([]);
  readingsHere = $state(false);
  /** Grows when the visit's files may have changed. */
  filesTold = $state(0);
  /** Grows when the strips of ECG attached to the visit may have changed. */
  stripsTold = $state(0);
  outgoing = $state.raw<readonly OutboxEntry[]>([]);
  /** The reading being typed: it outlives its form, which comes and goes with the visit's state. */
  draft = $state<Draft>(emptyDraft('blood_pressure', new Date()));
  note = $state.raw<NoteView | null>(null);
  call = $state.raw<CallView>() as CallView;
  readonly ecg: EcgStreams;
  readonly ladder = new Ladder();

  readonly other = $derived(this.members.find(({ id }) => id === this.visit?.other.id) ?? null);
  readonly you = $derived(this.visit?.[this.visit.my_side] ?? null);
  readonly doctor = $derived(this.visit?.my_side === 'doctor');
  readonly closed = $derived(this.visit?.state === 'closed');

  readonly unsent = $derived.by((): Unsent[] => {
    const parts: Unsent[] = [];
    if (this.note !== null && this.keeper.unsent) parts.push('note');
    if (this.outgoing.length > 0 && this.outbox.unsent) parts.push('readings');
    if (isTyped(this.draft)) parts.push('draft');
    return parts;
  });

  readonly outbox: Outbox;
  readonly keeper: NoteKeeper;
  readonly calling: Call;
  readonly #socket: RoomSocket<ServerMessage, ClientMessage>;
  #retrier: ReturnType<typeof setInterval> | undefined;
  #streamsHere = false;

  constructor(id: string) {
    this.id = id;
    this.ecg = new EcgStreams(rest.framesOf(id));
    this.#socket = new RoomSocket({
      url: socketUrl('visits', id),
      tab: uuid4(),
      ticket: () => fetchTicket('visits', id),
      resume: () => this.calling.alive,
      read: readMessage,
      welcome: 'welcome',
      onMessage: (message) => this.#heard(message),
      onFrame: (frame) => this.ecg.frame(frame),
      onPhase: (phase) => this.#phase(phase),
    });
    this.calling = new Call({
      send: (message) => this.#socket.send(message),
      hears: () => this.#socket.hears,
      silent: () => this.#socket.silent(),
      expects: () => ({
        audio: this.other?.audio === true && !this.ladder.voiceless,
        video: this.other?.video === true && !this.ladder.pictureless,
      }),
      onChange: (view) => (this.call = view),
    });
    this.call = this.calling.view;
    this.outbox = new Outbox({
      send: rest.sendReading,
      onStored: (reading) => (this.readings = merge(this.readings, [reading])),
      onChange: (entries) => (this.outgoing = entries),
    });
    this.keeper = new NoteKeeper({
      load: () => rest.loadNote(id),
      save: (note) => (this.signedOut ? Promise.resolve({ is: 'away' }) : rest.saveNote(id, note)),
      onChange: (view) => (this.note = view),
    });
  }

  /** Send now what can be sent. */
  sendNow(): void {
    if (this.signedOut) return;
    if (this.doctor) void this.keeper.save();
    void this.outbox.retry(Date.now(), true);
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
      this.ecg.stop();
      if (this.keeper.unsent) void this.keeper.save();
    };
  }

  /** Read the visit and, the first time, start everything that hangs on it. */
  async load(): Promise<void> {
    const first = this.visit === null;
    try {
      this.visit = await rest.loadVisit(this.id);
      this.problem = null;
    } catch (error) {
      if (first) this.problem = toProblem(error);
      return;
    }
    if (!first) return;
    if (this.doctor) void this.keeper.load();
    void this.#loadReadings();
    if (this.closed) {
      void this.#loadStreams();
      return;
    }
    this.#socket.start();
    const choice = rememberedJoin('visit', this.id);
    if (choice !== null) void this.calling.join(choice);
  }

  /** Join the call; the doctor's joining opens a visit that is only booked. */
  async join(choice: JoinChoice): Promise<void> {
    rememberJoin('visit', this.id, choice);
    const opening = this.doctor && this.visit?.state === 'booked' ? this.open() : null;
    await this.calling.join(choice);
    await opening;
  }

  leaveCall(): void {
    rememberJoin('visit', this.id, null);
    this.calling.leave();
    // A call that ended for us must end for the other side too: a new link forgets the old media.
    this.#socket.renew();
  }

  /** Open the visit; the problem when it could not be. */
  async open(): Promise<Problem | null> {
    return this.#change(rest.openVisit);
  }

  /** Close the visit; the problem when it could not be. */
  async close(): Promise<Problem | null> {
    await this.keeper.save();
    return this.#change(rest.closeVisit);
  }

  /** Bring the visit back to this tab, and the call with it. */
  takeBack(): void {
    this.#socket.takeBack();
    const choice = rememberedJoin('visit', this.id);
    if (choice !== null) void this.calling.join(choice);
  }

  /** Ask for signing in over this page; afterwards everything goes on where it was. */
  async signIn(): Promise<void> {
    this.signedOut = true;
    if (!(await signInAgain())) return;
    this.signedOut = false;
    this.#socket.signedIn();
    this.#retry(true);
  }

  async #change(verb: (id: string) => Promise<Visit>): Promise<Problem | null> {
    try {
      this.#became(await verb(this.id));
      return null;
    } catch (error) {
      return toProblem(error);
    }
  }

  #became(visit: Visit): void {
    this.visit = visit;
    if (visit.state === 'closed') {
      this.calling.leave();
      rememberJoin('visit', this.id, null);
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

  /** Closed while we were away, most likely: show it as it is now. */
  async #refused(): Promise<void> {
    await this.load();
    if (this.visit !== null) this.#became(this.visit);
  }

  #heard(message: ServerMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#anew();
        this.members = message.members;
        this.otherCameraOff = false;
        this.clockAheadMs = Date.parse(message.server_time) - Date.now();
        this.calling.ready();
        this.#know(message.streams);
        void this.#loadReadings();
        this.filesTold += 1;
        this.stripsTold += 1;
        if (this.doctor) void this.keeper.retry();
        void this.outbox.retry(Date.now(), true);
        if (this.visit?.state !== 'open') void this.load();
        return;
      case 'presence':
        this.#present(message.members);
        return;
      case 'offer':
        this.mediaAway = false;
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
        this.mediaAway = false;
        this.calling.mediaBack();
        return;
      case 'reading':
        this.readings = merge(this.readings, [message.reading]);
        return;
      case 'ecg_stream':
        this.#know([message.stream]);
        return;
      case 'vitals':
        this.ecg.said(message);
        return;
      case 'ecg_beats':
        this.ecg.beats(message.stream, message.beats);
        return;
      case 'ecg_strips':
        this.stripsTold += 1;
        return;
      case 'stores_away':
        this.storesAway = true;
        return;
      case 'stores_back':
        this.storesAway = false;
        void this.outbox.retry(Date.now(), true);
        if (this.doctor) void this.keeper.retry();
        void this.#loadReadings();
        return;
      case 'files':
        this.filesTold += 1;
        return;
      case 'visit':
        void this.#visitIs(message.state);
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

  /** A server that has just come back knows nobody's pictures: only a change it saw is a change. */
  #present(members: readonly Member[]): void {
    const sent = this.other?.video === true;
    this.members = members;
    if (this.other?.video === true) this.otherCameraOff = false;
    else if (sent && this.other?.online === true && !this.mediaAway) this.otherCameraOff = true;
  }

  async #visitIs(state: Visit['state']): Promise<void> {
    if (this.visit !== null) this.#became({ ...this.visit, state });
    await this.load();
  }

  /** What could not be had or sent before: again, every few seconds. */
  #retry(force = false): void {
    if (this.signedOut) return;
    if (this.visit === null) {
      if (this.problem?.passing === true) void this.load();
      return;
    }
    void this.outbox.retry(Date.now(), force);
    if (this.doctor) void this.keeper.retry();
    if (!this.readingsHere) void this.#loadReadings();
    if (!this.#streamsHere && (this.closed || this.phase === 'open')) void this.#loadStreams();
  }

  async #loadReadings(): Promise<void> {
    try {
      this.readings = merge(this.readings, await rest.loadReadings(this.id));
      this.readingsHere = true;
    } catch (error) {
      this.readingsHere = false;
      this.#notHad(error);
    }
  }

  /** Take in streams the server told of; what cannot be fetched now is fetched later. */
  #know(streams: readonly EcgStreamInfo[]): void {
    this.#streamsHere = true;
    this.ecg.know(streams).catch((error: unknown) => {
      this.#streamsHere = false;
      this.#notHad(error);
    });
  }

  async #loadStreams(): Promise<void> {
    try {
      this.#know(await rest.loadStreams(this.id));
    } catch (error) {
      this.#streamsHere = false;
      this.#notHad(error);
    }
  }

  #notHad(error: unknown): void {
    if (toProblem(error).status === 401) this.signedOut = true;
  }
}
