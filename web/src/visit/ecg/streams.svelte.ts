/** Every ECG stream of the visit: buffers, history joined with live frames, vitals. */

/* eslint svelte/prefer-svelte-reactivity: off -- samples come by the hundred a second: what pages
   show of them is in $state, the buffers are not */

import type { EcgStreamInfo, Quality, Vitals } from '../wire';
import { EcgBuffer, parseMicros, type Added } from './buffer';
import { MalformedFrame, decodeFrame, type EcgFrame } from './frames';
import { PAGE_FRAMES, catchUp, type FetchFrames } from './history';
import { SignalLog } from './lanes';
import { Marks } from './marks';

/** Without a frame for so long there is no signal, whatever was last said of it. */
export const SILENT_MS = 3_000;
/** A rate from longer ago is not this moment's. */
export const FRESH_MS = 10_000;
/** A hole is asked for once late frames have had time to come by themselves. */
const HOLE_WAIT_MS = 1_500;
/** And again after so long when it could not be fetched. */
const HOLE_RETRY_MS = 5_000;

export interface HeldStream {
  info: EcgStreamInfo;
  buffer: EcgBuffer;
  marks: Marks;
  log: SignalLog;
}

export type OnBeats = (stream: string, us: readonly number[]) => void;
export type OnAdded = (stream: string, added: Added, live: boolean) => void;

export class EcgStreams {
  /** Newest first. */
  infos = $state.raw<readonly EcgStreamInfo[]>([]);
  /** The person's choice among several; null is the newest. */
  chosen = $state<string | null>(null);
  vitals = $state.raw<Readonly<Record<string, Vitals>>>({});
  /** When the last live frame of each stream came (ms). */
  heardAt = $state.raw<Readonly<Record<string, number>>>({});
  readonly shown = $derived(this.chosen ?? this.infos[0]?.stream ?? null);

  readonly #held = new Map<string, HeldStream>();
  readonly #fetch: FetchFrames;
  readonly #catching = new Set<string>();
  readonly #holeTimers = new Map<string, ReturnType<typeof setTimeout>>();
  #listeners = new Set<OnAdded>();
  readonly #beatListeners = new Set<OnBeats>();
  #stopped = false;

  constructor(fetch: FetchFrames) {
    this.#fetch = fetch;
  }

  held(stream: string | null): HeldStream | null {
    return stream === null ? null : (this.#held.get(stream) ?? null);
  }

  /** Hear of every frame that found its place; answers how to stop. */
  listen(listener: OnAdded): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hear of every beat as it is confirmed; answers how to stop. */
  listenBeats(listener: OnBeats): () => void {
    this.#beatListeners.add(listener);
    return () => this.#beatListeners.delete(listener);
  }

  /** Streams as the server knows them; fetches what is stored and not here. Throws when it cannot. */
  async know(infos: readonly EcgStreamInfo[]): Promise<void> {
    for (const info of infos) this.#hold(info);
    await Promise.all(infos.map((info) => this.#catchUp(info.stream, info.last_sequence)));
  }

  /** A live frame; nonsense is passed over, and a stream not announced yet is fetched when it is. */
  frame(bytes: ArrayBuffer): void {
    let frame: EcgFrame;
    try {
      frame = decodeFrame(new Uint8Array(bytes));
    } catch (error) {
      if (error instanceof MalformedFrame) return;
      throw error;
    }
    const held = this.#held.get(frame.stream);
    if (held === undefined) return;
    this.heardAt = { ...this.heardAt, [frame.stream]: Date.now() };
    this.#add(held, frame, true);
    // Also while history is on its way: what was stored between the two is in neither.
    const before = frame.sequence - 1;
    if (before >= 0 && !held.buffer.sequences.has(before)) this.#hole(frame.stream);
  }

  said(vitals: Vitals): void {
    this.vitals = { ...this.vitals, [vitals.stream]: vitals };
    this.#held.get(vitals.stream)?.log.said(vitals, parseMicros(vitals.at));
  }

  /** R peaks of a live stream, by the recorder's clock. */
  beats(stream: string, us: readonly number[]): void {
    this.#held.get(stream)?.marks.add(us);
    for (const listener of this.#beatListeners) listener(stream, us);
  }

  /** Fetch what lies before the oldest frame here; false when there is nothing earlier. */
  async older(stream: string): Promise<boolean> {
    const held = this.#held.get(stream);
    const first = held?.buffer.sequences.all[0]?.[0] ?? 0;
    if (held === undefined || first === 0) return false;
    const from = Math.max(0, first - PAGE_FRAMES);
    const frames = await this.#fetch(stream, from - 1, first - from);
    for (const frame of frames) this.#add(held, frame, false);
    return frames.length > 0;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#holeTimers.values()) clearTimeout(timer);
    this.#listeners.clear();
    this.#beatListeners.clear();
  }

  #hold(info: EcgStreamInfo): void {
    const before = this.#held.get(info.stream);
    if (before !== undefined) before.info = info;
    else {
      const startedAtUs = parseMicros(info.started_at);
      this.#held.set(info.stream, {
        info,
        buffer: new EcgBuffer(info.rate_hz, startedAtUs),
        marks: new Marks(),
        log: new SignalLog(),
      });
    }
    this.infos = [...this.#held.values()]
      .map((held) => held.info)
      .sort((a, b) => Date.parse(b.started_at) - Date.parse(a.started_at));
  }

  #add(held: HeldStream, frame: EcgFrame, live: boolean): void {
    const added = held.buffer.add(frame);
    if (added === null) return;
    for (const listener of this.#listeners) listener(held.info.stream, added, live);
  }

  #hole(stream: string, waitMs = HOLE_WAIT_MS): void {
    if (this.#holeTimers.has(stream)) return;
    const timer = setTimeout(() => {
      this.#holeTimers.delete(stream);
      if (this.#catching.has(stream)) {
        this.#hole(stream);
        return;
      }
      const last = this.#held.get(stream)?.buffer.sequences.last ?? -1;
      this.#catchUp(stream, last).catch(() => {
        if (!this.#stopped) this.#hole(stream, HOLE_RETRY_MS);
      });
    }, waitMs);
    this.#holeTimers.set(stream, timer);
  }

  async #catchUp(stream: string, lastStored: number): Promise<void> {
    const held = this.#held.get(stream);
    if (held === undefined || this.#catching.has(stream)) return;
    this.#catching.add(stream);
    try {
      await catchUp({
        stream,
        lastStored,
        have: held.buffer.sequences,
        add: (frame) => this.#add(held, frame, false),
        fetch: this.#fetch,
      });
    } finally {
      this.#catching.delete(stream);
    }
  }
}

/** A signal that comes, but from a while ago: what was said of it may not hold any more. */
export type SignalNow = Quality | 'late';

/**
 * What may be said of the signal now: without fresh samples nothing good, and no rate. Fresh by when
 * they were taken, not by when they came: after a break a recorder sends what it has kept.
 */
export function present(
  vitals: Vitals | undefined,
  heardAt: number | undefined,
  now: number,
  clockAheadMs: number,
): { rate: number | null; quality: SignalNow; reason: string | null } {
  if (vitals === undefined || heardAt === undefined || now - heardAt > SILENT_MS) {
    return { rate: null, quality: 'no_signal', reason: null };
  }
  const { heart_rate_bpm: rate, quality, reason } = vitals;
  // A time that cannot be read is not a fresh one.
  const fresh = now + clockAheadMs - Date.parse(vitals.at) <= FRESH_MS;
  if (!fresh && quality !== 'no_signal') return { rate: null, quality: 'late', reason: null };
  const believed = quality === 'good' || quality === 'noisy';
  return { rate: believed ? rate : null, quality, reason };
}
