/**
 * What came of one ECG stream, indexed by sample position (0 = the stream's first sample).
 * A frame's place comes from its own time stamp, so a gap in time stays a gap on paper; frames may
 * come late, twice or in any order.
 */

import { MISSING, type EcgFrame } from './frames';
import { Ranges } from './ranges';

/** Microseconds of an RFC 3339 time; Date.parse alone would drop what is below a millisecond. */
export function parseMicros(time: string): number {
  const below = /\.\d{3}(\d{1,3})/.exec(time)?.[1] ?? '';
  return Date.parse(time) * 1_000 + Number(below.padEnd(3, '0'));
}

/** Clock jitter of a recorder, in samples: neighbours this near are drawn as neighbours. */
const SNAP_SAMPLES = 4;
/** Room to begin with; it grows with the visit, so that all of it can be leafed through. */
const FIRST_S = 600;
/** Sixteen megabytes: nine hours at 250 Hz, two at 1000 Hz. What is older is forgotten. */
const MOST_SAMPLES = 8_000_000;

const empty = (samples: number): Int16Array => new Int16Array(samples).fill(MISSING);

export interface Added {
  /** First position written and the one after the last. */
  from: number;
  to: number;
  /** The frame filled a place behind the newest sample. */
  late: boolean;
}

export class EcgBuffer {
  readonly rateHz: number;
  readonly startedAtUs: number;
  readonly sequences = new Ranges();
  readonly #most: number;
  #ring: Int16Array;
  #end = 0;
  #first = Infinity;
  /** End position of recent frames by sequence, to snap the next one to it. */
  readonly #ends = new Map<number, number>();
  readonly #starts = new Map<number, number>();

  constructor(rateHz: number, startedAtUs: number, seconds = Infinity) {
    this.rateHz = rateHz;
    this.startedAtUs = startedAtUs;
    this.#most = Math.min(MOST_SAMPLES, Math.ceil(rateHz * seconds));
    this.#ring = empty(Math.min(this.#most, Math.ceil(rateHz * FIRST_S)));
  }

  /** One past the newest sample. */
  get end(): number {
    return this.#end;
  }

  /** The oldest position that came and is still kept: what was not fetched is no gap. */
  get begin(): number {
    return Math.max(Math.min(this.#first, this.#end), this.#end - this.#ring.length);
  }

  /** ADC value at a position, MISSING where nothing was measured, came or is kept. */
  at(position: number): number {
    if (position < this.begin || position >= this.#end) return MISSING;
    return this.#ring[position % this.#ring.length] ?? MISSING;
  }

  /** Unix time in µs of a position. */
  timeUs(position: number): number {
    return this.startedAtUs + Math.round((position * 1_000_000) / this.rateHz);
  }

  /** Unix time in µs of the oldest sample here. */
  get beginUs(): number {
    return this.timeUs(this.begin);
  }

  /** Unix time in ms of a position. */
  timeMs(position: number): number {
    return this.startedAtUs / 1_000 + (position * 1_000) / this.rateHz;
  }

  /** The position nearest to a unix time in µs; it may lie outside of what is held. */
  positionOf(us: number): number {
    return Math.round(((us - this.startedAtUs) * this.rateHz) / 1_000_000);
  }

  /** Put a frame in its place; null when it was here already or is too old to keep. */
  add(frame: EcgFrame): Added | null {
    if (!this.sequences.add(frame.sequence)) return null;
    const from = this.#place(frame);
    const to = from + frame.samples.length;
    this.#remember(frame.sequence, from, to);
    const late = from < this.#end;
    this.#reach(Math.max(to, this.#end) - Math.min(from, this.#first));
    if (to > this.#end) this.#advance(to);
    const oldest = this.#end - this.#ring.length;
    if (to <= oldest) return null;
    this.#first = Math.min(this.#first, from);
    for (let i = Math.max(0, oldest - from); i < frame.samples.length; i += 1) {
      this.#ring[(from + i) % this.#ring.length] = frame.samples[i] as number;
    }
    return { from, to, late };
  }

  /** Positions from..to as ADC values, for tests, measurements and print. */
  slice(from: number, to: number): Int16Array {
    const out = new Int16Array(Math.max(0, to - from));
    for (let i = 0; i < out.length; i += 1) out[i] = this.at(from + i);
    return out;
  }

  #place(frame: EcgFrame): number {
    const byTime = Math.max(0, this.positionOf(frame.startedAtUs));
    const afterPrevious = this.#ends.get(frame.sequence - 1);
    if (afterPrevious !== undefined && Math.abs(afterPrevious - byTime) <= SNAP_SAMPLES) {
      return afterPrevious;
    }
    const next = this.#starts.get(frame.sequence + 1);
    const beforeNext = next === undefined ? undefined : next - frame.samples.length;
    if (
      beforeNext !== undefined &&
      beforeNext >= 0 &&
      Math.abs(beforeNext - byTime) <= SNAP_SAMPLES
    ) {
      return beforeNext;
    }
    return byTime;
  }

  /** Room for so many samples, as far as there may be. */
  #reach(count: number): void {
    const before = this.#ring;
    if (count <= before.length || before.length === this.#most) return;
    const ring = empty(Math.min(this.#most, Math.max(count, 2 * before.length)));
    for (let position = this.begin; position < this.#end; position += 1) {
      ring[position % ring.length] = before[position % before.length] as number;
    }
    this.#ring = ring;
  }

  #advance(to: number): void {
    // What lies between the old end and the new one is unknown until it comes.
    const from = Math.max(this.#end, to - this.#ring.length);
    for (let position = from; position < to; position += 1) {
      this.#ring[position % this.#ring.length] = MISSING;
    }
    this.#end = to;
  }

  #remember(sequence: number, from: number, to: number): void {
    this.#starts.set(sequence, from);
    this.#ends.set(sequence, to);
    if (this.#ends.size > 4_096) {
      for (const old of Array.from(this.#ends.keys()).slice(0, 1_024)) {
        this.#ends.delete(old);
        this.#starts.delete(old);
      }
    }
  }
}
