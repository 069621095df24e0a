/**
 * Record Access Control Point 0x2A52: downloading a meter's records. The twin of devices/racp.py,
 * which says why each step is as it is; it has no radio and no clock, raises on nothing a device
 * sends, and never asks a meter to delete.
 */

import { BadPayload } from './gatt/payload';

const NEWEST = 0xffff;
const [REPORT, ABORT, COUNT] = [1, 3, 4] as const;
const [COUNT_REPLY, RESPONSE] = [5, 6] as const;
const [ALL, FROM, LAST] = [1, 3, 6] as const;
const [SUCCESS, NONE_FOUND, NOT_COMPLETED] = [1, 6, 8] as const;
/** So many steps as long as the first one are an interval and no holes. */
const AS_LONG = 3;
/** Meters count from 0 or from 1. */
const VERY_FIRST = 1;
/** Operator or operand invalid or not supported. */
const NOT_THIS_WAY: readonly number[] = [3, 4, 5, 9];

export type Reply = { count: number } | { op: number; code: number };

/** The meter's indication, or BadPayload. */
export function decodeReply(data: Uint8Array): Reply {
  if (data.length < 3) throw new BadPayload('too_short', data.length);
  const [kind, operator, op = 0, code = 0] = data;
  if ((kind !== COUNT_REPLY && kind !== RESPONSE) || operator !== 0) {
    throw new BadPayload('opcode', 0);
  }
  const size = data.length - 2;
  if (kind === COUNT_REPLY) {
    if (![1, 2, 4].includes(size)) throw new BadPayload('length', data.length);
    return { count: data.subarray(2).reduceRight((sum, byte) => sum * 256 + byte, 0) };
  }
  if (size !== 2) throw new BadPayload('length', data.length);
  return { op, code };
}

export type Reason = 'records_lost' | 'not_completed' | 'unsupported' | 'aborted';

export type Event =
  /** Write these bytes to the control point. */
  | { is: 'write'; data: Uint8Array }
  /** A record came; not `fresh` when it came before. */
  | { is: 'record'; sequence: number; fresh: boolean }
  /** The meter has told all it has. */
  | { is: 'finished'; received: number }
  /** It ended early; `again` says whether a new start can help. */
  | { is: 'failed'; reason: Reason; again: boolean }
  /** The meter counts from the beginning again: a new battery, a reset. */
  | { is: 'restarted'; sequence: number }
  | { is: 'ignored'; code: string };

type State = 'idle' | 'counting' | 'reporting' | 'checking';

/** One meter's download; a start goes on behind `resumeFrom`. */
export class Racp {
  resumeFrom: number | null;
  readonly #countFirst: boolean;
  #state: State = 'idle';
  #askedFrom: number | null;
  #expected: number | null = null;
  readonly #came = new Set<number>();
  #waiting: number[] = [];
  readonly #stored = new Set<number>();
  #newest: number | null = null;
  /** The shortest step between records so far, and the record before the first longer one. */
  #step: number | null = null;
  #beforeHole: number | null = null;
  #unsure = 0;
  #inOrder = true;
  #whole = false;
  #oldestKnown = false;
  /**
   * The lowest sequence of a first download so far. What comes first may not be the oldest, but the
   * first that was not lost: until the same one has come first twice, or it is a meter's very
   * first, a cut begins anew.
   */
  first: number | null;

  constructor(lastSequence: number | null = null, countFirst = true, first: number | null = null) {
    this.first = first;
    this.resumeFrom = lastSequence;
    this.#askedFrom = lastSequence;
    this.#countFirst = countFirst;
  }

  /** The first bytes to write, at the first connection and after every cut. */
  start(): Uint8Array {
    this.#askedFrom = this.resumeFrom;
    this.#expected = null;
    this.#forget();
    this.#oldestKnown = this.#askedFrom !== null;
    this.#state = this.#countFirst ? 'counting' : 'reporting';
    return this.#behind(this.#countFirst ? COUNT : REPORT);
  }

  /** Bytes that ask the meter to stop. */
  abort(): Uint8Array {
    return Uint8Array.of(ABORT, 0);
  }

  /** The link is gone: what belongs to this dialogue no longer means anything. */
  onCut(): void {
    this.#state = 'idle';
  }

  onMeasurement(sequence: number): Event[] {
    if (this.#state === 'checking') {
      this.#newest = sequence;
      return [{ is: 'record', sequence, fresh: false }];
    }
    const old = this.#askedFrom !== null && sequence <= this.#askedFrom;
    if (old || this.#came.has(sequence)) return [{ is: 'record', sequence, fresh: false }];
    if (this.#newest === null && this.#askedFrom === null) {
      this.#oldestKnown = sequence <= VERY_FIRST || sequence === this.first;
      if (!this.#oldestKnown) this.first = Math.min(sequence, this.first ?? sequence);
    }
    this.#lookForHole(sequence);
    this.#newest = Math.max(sequence, this.#newest ?? sequence);
    this.#came.add(sequence);
    this.#waiting.push(sequence);
    return [{ is: 'record', sequence, fresh: true }];
  }

  /** Meters count by one, sensors by their interval: a longer step than others is a hole. */
  #lookForHole(sequence: number): void {
    const before = this.#newest ?? this.#askedFrom;
    if (before === null) return;
    const step = sequence - before;
    if (step < (this.#step ?? 1)) {
      // Not the oldest first, or an earlier step was a hole: before the end none is behind us.
      this.#inOrder = false;
      this.resumeFrom = this.#askedFrom;
    } else if (this.#step === null) {
      // The first step tells nothing yet: a hole, unless the next ones are as long.
      this.#unsure = step > 1 ? AS_LONG : 0;
      this.#beforeHole = step > 1 ? before : null;
    } else if (step > this.#step) {
      this.#unsure = 0;
      this.#beforeHole ??= before;
    } else if (this.#unsure > 0) {
      this.#unsure -= 1;
      if (this.#unsure === 0) this.#beforeHole = null;
    }
    if (step > 0) this.#step = Math.min(step, this.#step ?? step);
  }

  /** The record is safe in the store: a later start need not ask for it again. */
  stored(sequence: number): void {
    if (!this.#came.has(sequence)) return;
    this.#stored.add(sequence);
    this.#advance();
  }

  /** The control point spoke. */
  onIndication(data: Uint8Array): Event[] {
    let reply: Reply;
    try {
      reply = decodeReply(data);
    } catch (bad) {
      if (bad instanceof BadPayload) return [{ is: 'ignored', code: bad.code }];
      throw bad;
    }
    return 'count' in reply ? this.#counted(reply.count) : this.#answered(reply.op, reply.code);
  }

  #answered(op: number, code: number): Event[] {
    if (op === ABORT) return this.#aborted(code);
    if (this.#state === 'counting' && op === COUNT) {
      // A meter that cannot count is asked for the records all the same.
      return this.#counted(code === NONE_FOUND ? 0 : null);
    }
    if (this.#state === 'reporting' && op === REPORT) return this.#reported(code);
    if (this.#state === 'checking' && op === REPORT) return this.#checked();
    return [{ is: 'ignored', code: 'unasked' }];
  }

  get #asksAll(): boolean {
    // Behind the last number there is none: all, and those that come again are known.
    return this.#askedFrom === null || this.#askedFrom >= NEWEST;
  }

  #behind(op: number): Uint8Array {
    if (this.#asksAll) return Uint8Array.of(op, ALL);
    const first = (this.#askedFrom ?? 0) + 1;
    return Uint8Array.of(op, FROM, 1, first & 0xff, first >> 8);
  }

  #report(data: Uint8Array, state: State): Event[] {
    this.#state = state;
    return [{ is: 'write', data }];
  }

  #counted(count: number | null): Event[] {
    if (this.#state !== 'counting') return [{ is: 'ignored', code: 'unasked' }];
    if (count === 0) return this.#nothingNew();
    const whole = this.#asksAll && this.#askedFrom !== null;
    this.#expected = whole ? null : count;
    return this.#report(this.#behind(REPORT), 'reporting');
  }

  #reported(code: number): Event[] {
    if (code === SUCCESS) return this.#finish();
    if (code === NONE_FOUND) return this.#nothingNew();
    if (NOT_THIS_WAY.includes(code) && this.#askedFrom !== null) return this.#allAgain();
    this.#state = 'idle';
    const again = code === NOT_COMPLETED;
    return [{ is: 'failed', reason: again ? 'not_completed' : 'unsupported', again }];
  }

  /** Everything, from a meter that cannot begin in the middle; known records are told. */
  #allAgain(): Event[] {
    this.#expected = null;
    return this.#report(Uint8Array.of(REPORT, ALL), 'reporting');
  }

  #nothingNew(): Event[] {
    if (this.#askedFrom === null) return this.#finish();
    // Nothing behind our last: is that so, or did the meter begin to count anew?
    this.#newest = null;
    return this.#report(Uint8Array.of(REPORT, LAST), 'checking');
  }

  #checked(): Event[] {
    const [newest, askedFrom] = [this.#newest, this.#askedFrom];
    if (newest === null || askedFrom === null || newest === askedFrom) return this.#finish();
    this.#forget();
    if (newest > askedFrom) return this.#allAgain();
    this.#askedFrom = this.resumeFrom = null;
    return [{ is: 'restarted', sequence: newest }, ...this.#allAgain()];
  }

  #finish(): Event[] {
    this.#state = 'idle';
    if (this.#expected !== null && this.#came.size < this.#expected) {
      // Nobody knows which: what is behind the point this download began from comes again.
      this.resumeFrom = this.#askedFrom;
      return [{ is: 'failed', reason: 'records_lost', again: true }];
    }
    this.#whole = true;
    this.#advance();
    return [{ is: 'finished', received: this.#came.size }];
  }

  #aborted(code: number): Event[] {
    if (this.#state === 'idle' || code !== SUCCESS)
      return [{ is: 'ignored', code: 'abort_failed' }];
    this.#state = 'idle';
    return [{ is: 'failed', reason: 'aborted', again: true }];
  }

  /** Move the point to go on from: never past a record that is not stored, or a hole. */
  #advance(): void {
    if (this.#whole && this.#came.size > 0 && this.#came.size === this.#stored.size) {
      this.resumeFrom = this.#newest;
      return;
    }
    while (this.#inOrder && this.#oldestKnown) {
      const [first] = this.#waiting;
      if (first === undefined || !this.#stored.has(first)) return;
      if (this.#beforeHole !== null && first > this.#beforeHole) return;
      this.resumeFrom = first;
      this.#waiting.shift();
    }
  }

  #forget(): void {
    this.#came.clear();
    this.#waiting = [];
    this.#stored.clear();
    this.#newest = null;
    this.#step = null;
    this.#beforeHole = null;
    this.#unsure = 0;
    this.#inOrder = true;
    this.#whole = false;
  }
}
