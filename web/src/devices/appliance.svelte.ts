/** One device of this page: its connection, what it said, and its readings' way to the server. */

import { SvelteMap } from 'svelte/reactivity';
import { Conversation, type Keeper } from './conversation';
import type { DeviceReading, Outcome } from './gatt/to-measurement';
import { rowOf, type DeviceKind, type KindRow } from './kinds';
import { addDevice, postReadings, removeDevice } from './rest';
import { flush, type Flushed, type Post } from './sending';
import {
  MOST_WAITING,
  noCounts,
  REMEMBERED_MS,
  ShelfFull,
  type Counts,
  type Entry,
  type KeptDevice,
  type Shelf,
} from './shelf';
import type { Found, Link } from './source';

/** Not looked for; being connected; listened to; away, and looked for again. */
export type Phase = 'off' | 'connecting' | 'listening' | 'waiting';
export type Trouble = 'full' | 'not_kept' | 'records' | null;

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** A token that was refused is tried again, in case the refusal was the mistake. */
const TURNED_AWAY_MS = 15 * 60_000;
const RECONNECT_MS = 5_000;
/** Another tab of this page is sending. */
const OTHER_TAB_MS = 5_000;
/** Readings shown while a device is being added. */
const SHOWN = 5;
/** Said of no reading, but nothing anybody has to know. */
const SILENT: readonly string[] = ['interim', 'other_user'];

export interface Surroundings {
  shelf: Shelf;
  person: string;
  post?: Post;
  now?: () => number;
}

/** Sends as the only tab; null when another one is at it. */
async function alone(device: string, work: () => Promise<Flushed>): Promise<Flushed | null> {
  if (!('locks' in navigator)) return work();
  return navigator.locks.request(`yanasha-send-${device}`, { ifAvailable: true }, (lock) =>
    lock === null ? null : work(),
  );
}

export class Appliance implements Keeper {
  readonly row: KindRow;
  device = $state.raw<KeptDevice | null>(null);
  phase = $state<Phase>('off');
  trouble = $state<Trouble>(null);
  counts = $state.raw<Counts>(noCounts());
  refused = $state.raw<readonly Entry[]>([]);
  latest = $state.raw<DeviceReading | null>(null);
  /** Users the device told of, while it is being added. */
  users = $state.raw<readonly number[]>([]);
  /** Messages that were no readings: how many, and why the last. */
  notReadings = $state.raw<{ count: number; reason: string }>({ count: 0, reason: '' });
  /** The server cannot be reached. */
  lineAway = $state(false);
  /** The server does not take this device's readings any more: its code. */
  turnedAway = $state('');
  /** Heard before the device has a name; kept with it. */
  readonly #heard = new SvelteMap<
    number,
    { reading: DeviceReading; at: number; user: number | null }
  >();
  readonly #draftProgress: Record<string, number | null> = {};
  readonly #shelf: Shelf;
  readonly #person: string;
  readonly #post: Post;
  readonly #now: () => number;
  #found: Found | null = null;
  #link: Link | null = null;
  #holding = false;
  #stopped = false;
  #sending = false;
  #more = false;
  #waitMs = FIRST_WAIT_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reconnect: (() => void) | undefined;

  constructor(around: Surroundings, kind: DeviceKind, device: KeptDevice | null = null) {
    this.row = rowOf(kind);
    this.device = device;
    this.#shelf = around.shelf;
    this.#person = around.person;
    this.#post = around.post ?? postReadings;
    this.#now = around.now ?? Date.now;
  }

  /** What was heard so far of a device without a name, newest first. */
  get heard(): DeviceReading[] {
    return [...this.#heard.values()]
      .map(({ reading }) => reading)
      .slice(-SHOWN)
      .reverse();
  }

  get heardCount(): number {
    return this.#heard.size;
  }

  get unsent(): number {
    return this.counts.here + this.counts.sent;
  }

  get user(): number | null {
    return this.device?.user ?? null;
  }

  /** The device's own name. */
  get radioName(): string {
    return this.#found?.name ?? '';
  }

  /** Begins: shows what is kept and sends what waits. */
  async start(): Promise<void> {
    if (this.device === null) return;
    await this.#shelf.forget(this.device.id, this.#now() - REMEMBERED_MS);
    await this.#look();
    this.send();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#reconnect?.();
    this.#link?.close();
    this.phase = 'off';
  }

  // The connection.

  /** Keeps a connection to this device as long as the page is open. */
  async hold(found: Found): Promise<void> {
    this.#found = found;
    if (this.#holding) {
      this.#reconnect?.();
      return;
    }
    this.#holding = true;
    for (let wait = RECONNECT_MS; !this.#stopped; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      this.phase = 'connecting';
      const heard = await this.#converse(this.#found);
      if (this.#ended()) break;
      if (heard) wait = RECONNECT_MS;
      this.phase = 'waiting';
      await new Promise<void>((done) => {
        const timer = setTimeout(done, wait);
        this.#reconnect = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
    this.#holding = false;
  }

  #ended(): boolean {
    return this.#stopped;
  }

  /** Whether the device could be listened to, before the connection ended. */
  async #converse(found: Found): Promise<boolean> {
    let listening = false;
    try {
      const link = await found.connect(this.row);
      this.#link = link;
      if (this.#stopped) link.close();
      const conversation = new Conversation(link, this.row, this, this.#now);
      await conversation.run(() => {
        listening = true;
        this.phase = 'listening';
      });
      this.trouble = conversation.trouble === null ? null : 'records';
    } catch (error) {
      if (error instanceof ShelfFull) this.trouble = 'full';
      else if (listening) this.trouble = 'not_kept';
    }
    this.#link = null;
    return listening;
  }

  // What it says.

  async keep(outcomes: readonly Outcome[]): Promise<void> {
    const at = this.#now();
    const given = outcomes.flatMap((one) => ('reading' in one ? [one] : []));
    for (const one of outcomes) {
      if ('reading' in one || SILENT.includes(one.reason)) continue;
      this.notReadings = { count: this.notReadings.count + 1, reason: one.reason };
    }
    if (given.length === 0) return;
    if (this.device === null) {
      if (this.#heard.size >= MOST_WAITING) throw new ShelfFull();
      for (const { reading, user } of given) {
        this.#heard.set(reading.sequence, { reading, at, user });
        if (user !== null && !this.users.includes(user)) this.users = [...this.users, user].sort();
      }
    } else {
      await this.#put(given.map(({ reading }) => ({ reading, at })));
      this.send();
    }
    this.latest = given.at(-1)?.reading ?? null;
  }

  progress(download: string): number | null {
    const { device } = this;
    return (device === null ? this.#draftProgress : device.progress)[download] ?? null;
  }

  async setProgress(download: string, last: number | null): Promise<void> {
    const { device } = this;
    if (device === null) {
      this.#draftProgress[download] = last;
      return;
    }
    const changed = { ...device, progress: { ...device.progress, [download]: last } };
    await this.#shelf.putDevice(changed);
    this.device = changed;
  }

  async #put(readings: readonly { reading: DeviceReading; at: number }[]): Promise<void> {
    const { device } = this;
    if (device === null) return;
    const waited = this.lineAway || !navigator.onLine;
    await this.#shelf.put(
      readings.map(({ reading, at }) => ({
        device: device.id,
        sequence: reading.sequence,
        state: 'here' as const,
        cameAt: at,
        waited,
        reading,
        problem: '',
      })),
    );
    await this.#look();
  }

  /** Makes it a device of the person's own; what was heard goes with it. Throws a `Problem`. */
  async adopt(name: string, user: number | null): Promise<void> {
    const added = await addDevice(name, this.row.gives);
    const device: KeptDevice = {
      id: added.id,
      person: this.#person,
      name: added.name,
      kind: this.row.kind,
      token: added.token,
      radio: this.#found?.id ?? '',
      user,
      progress: {},
    };
    try {
      await this.#shelf.putDevice(device);
    } catch (error) {
      // Its token is shown once: a device nobody can send for is none.
      await removeDevice(added.id).catch(() => undefined);
      throw error;
    }
    this.device = device;
    const heard = [...this.#heard.values()];
    this.#heard.clear();
    await this.#put(heard.filter((one) => user === null || (one.user ?? user) === user));
    // Only now: a download goes on behind what is kept.
    for (const [download, last] of Object.entries(this.#draftProgress)) {
      if (!(download in this.device.progress)) await this.setProgress(download, last);
    }
    this.send();
  }

  // The way to the server.

  /** Sends what waits, now. */
  send(): void {
    if (this.#stopped || this.device === null) return;
    if (this.#sending) {
      this.#more = true;
      return;
    }
    this.#sending = true;
    clearTimeout(this.#timer);
    void this.#round().finally(() => {
      this.#sending = false;
      if (!this.#more) return;
      this.#more = false;
      // While the line is away its own clock says when to try again.
      if (!this.lineAway) this.send();
    });
  }

  /** The line is back, as far as the browser knows. */
  sendAtOnce(): void {
    this.#waitMs = FIRST_WAIT_MS;
    this.send();
  }

  async #round(): Promise<void> {
    const { device } = this;
    if (device === null) return;
    const plan = {
      shelf: this.#shelf,
      device: device.id,
      token: device.token,
      post: this.#post,
      now: this.#now,
      changed: () => void this.#look(),
    };
    let ended: Flushed | null;
    try {
      ended = await alone(device.id, () => flush(plan));
    } catch {
      ended = { is: 'away', retryAfterS: null };
    }
    await this.#look();
    if (ended === null) {
      if (this.unsent > 0) this.#again(OTHER_TAB_MS);
      return;
    }
    this.turnedAway = ended.is === 'turned_away' ? ended.code : '';
    this.lineAway = ended.is === 'away';
    if (ended.is === 'done') {
      this.#waitMs = FIRST_WAIT_MS;
    } else if (ended.is === 'turned_away') {
      this.#again(TURNED_AWAY_MS);
    } else {
      const asked = Math.min((ended.retryAfterS ?? 0) * 1_000, LONGEST_WAIT_MS);
      // Spread, so that many pages do not come at once after an outage.
      this.#again(Math.max(asked, this.#waitMs) * (0.8 + 0.4 * Math.random()));
      this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
    }
  }

  #again(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.send(), ms);
  }

  async #look(): Promise<void> {
    const { device } = this;
    if (device === null) return;
    try {
      const counts = await this.#shelf.counts(device.id);
      if (counts.refused !== this.counts.refused) {
        this.refused = await this.#shelf.refused(device.id, 20);
      }
      this.counts = counts;
    } catch {
      this.trouble = 'not_kept';
    }
  }
}
