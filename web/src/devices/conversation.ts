/**
 * One connection to one device: hear what it sends, download what it remembers. The order of
 * devices/gateway/exchange.py: what came is kept before anything is answered or asked for.
 */

import { findModel } from './gatt/models';
import {
  CGM,
  CGM_SESSION_START,
  CONTINUOUS,
  GLUCOSE,
  GLUCOSE_CONTEXT,
  HEART_RATE,
  measurements,
  type Outcome,
} from './gatt/to-measurement';
import { CONTROL_POINT, type KindRow } from './kinds';
import { Racp, type Reason } from './racp';
import type { Link } from './source';

/** Where the conversation puts what it hears; what it is told is kept for good when it is done. */
export interface Keeper {
  keep(outcomes: readonly Outcome[]): Promise<void>;
  /** The last record of a download that was kept. */
  progress(download: string): number | null;
  /** Note it; null: the next download begins at the beginning. */
  setProgress(download: string, last: number | null): Promise<void>;
  /** Whose readings are wanted of a device that several share. */
  readonly user: number | null;
}

/** A value a second is no reading a second: the first of each minute is kept. */
const ONCE_A_MINUTE: readonly number[] = [HEART_RATE, CONTINUOUS];
/** A download that another try may mend is tried so often in one connection. */
const TRIES = 3;
/** So long a record waits for the note it announced. */
const NOTE_MS = 2_000;
const CONTEXT_FOLLOWS = 0x10;
/** Beside a download's progress: the lowest number of its first run. */
const FIRST = ' first';

interface Came {
  characteristic: number;
  data: Uint8Array;
  at: number;
}

const hexOf = (data: Uint8Array | undefined): string =>
  [...(data ?? [])].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** The numbers by which the records in a payload are asked for again. */
export function numbersIn(characteristic: number, data: Uint8Array): number[] {
  const u16 = (at: number): number => (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8);
  if (characteristic === GLUCOSE) return data.length >= 3 ? [u16(1)] : [];
  if (characteristic !== CGM) return [];
  const numbers: number[] = [];
  for (let at = 0; at < data.length; at += data[at] ?? 0) {
    const size = data[at] ?? 0;
    if (size < 6 || at + size > data.length) break;
    numbers.push(u16(at + 4));
  }
  return numbers;
}

export class Conversation {
  /** Why the device did not give all its records, if so. */
  trouble: Reason | null = null;
  readonly #link: Link;
  readonly #row: KindRow;
  readonly #keeper: Keeper;
  readonly #now: () => number;
  readonly #read = new Map<number, Uint8Array>();
  readonly #minutes = new Map<number, number>();
  #racp: Racp | null = null;
  #download = '';
  #tries = 0;
  #waiting: Came | null = null;
  #minute = -1;
  #noteTimer: ReturnType<typeof setTimeout> | undefined;
  #work: Promise<void> = Promise.resolve();
  #failed: Error | null = null;
  /** The start of a sensor's session, as it was told last. */
  #session: Uint8Array | null = null;

  constructor(link: Link, row: KindRow, keeper: Keeper, now: () => number = Date.now) {
    this.#link = link;
    this.#row = row;
    this.#keeper = keeper;
    this.#now = now;
  }

  /** Reads what is needed, listens, asks for what was missed; done when the connection is gone. */
  async run(listening: () => void = () => undefined): Promise<void> {
    try {
      await this.#begin();
      listening();
      await this.#link.ended;
    } finally {
      this.#queue(() => this.#keepWaiting());
      await this.#work;
      clearTimeout(this.#noteTimer);
      this.#racp?.onCut();
    }
    if (this.#failed !== null) throw this.#failed;
  }

  async #begin(): Promise<void> {
    const { reads, listens } = this.#row;
    for (const characteristic of reads) {
      if (!this.#link.has(characteristic)) continue;
      this.#read.set(characteristic, await this.#link.read(characteristic));
    }
    for (const characteristic of listens) {
      if (!this.#link.has(characteristic)) continue;
      await this.#link.listen(characteristic, (data) => this.#heard(characteristic, data));
    }
    if (!this.#link.has(CONTROL_POINT)) return;
    await this.#link.listen(CONTROL_POINT, (data) => this.#queue(() => this.#answered(data)));
    await this.#askForRecords();
  }

  /** Begins the download where the one before ended; each session of a sensor has its own. */
  async #askForRecords(): Promise<void> {
    this.#download = this.#row.listens.includes(GLUCOSE)
      ? 'glucose'
      : `cgm ${hexOf(this.#read.get(CGM_SESSION_START))}`;
    const first = this.#keeper.progress(this.#download + FIRST);
    const racp = new Racp(this.#keeper.progress(this.#download), true, first);
    this.#racp = racp;
    this.#tries = TRIES;
    await this.#link.write(CONTROL_POINT, racp.start());
  }

  /** One after the other, in the order it came; the first failure ends the connection. */
  #queue(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#failed ??= error instanceof Error ? error : new Error('not kept');
      this.#link.close();
    });
  }

  #heard(characteristic: number, data: Uint8Array): void {
    const at = this.#now();
    if (ONCE_A_MINUTE.includes(characteristic)) {
      const minute = Math.floor(at / 60_000);
      if (this.#minutes.get(characteristic) === minute) return;
      this.#minutes.set(characteristic, minute);
    }
    this.#queue(() => this.#take({ characteristic, data, at }));
  }

  /** A glucose record waits for the note it announces; they are kept together. */
  async #take(came: Came): Promise<void> {
    const before = this.#waiting;
    if (came.characteristic === GLUCOSE_CONTEXT) {
      const sequence = (data: Uint8Array): string => hexOf(data.subarray(1, 3));
      if (before === null || sequence(before.data) !== sequence(came.data)) return;
      this.#waiting = null;
      await this.#keep(before, new Map([[GLUCOSE_CONTEXT, came.data]]));
      return;
    }
    await this.#keepWaiting();
    if (came.characteristic === CGM) await this.#followSession(came.data);
    if (came.characteristic === GLUCOSE && ((came.data[0] ?? 0) & CONTEXT_FOLLOWS) !== 0) {
      this.#waiting = came;
      clearTimeout(this.#noteTimer);
      this.#noteTimer = setTimeout(() => this.#queue(() => this.#keepWaiting()), NOTE_MS);
      return;
    }
    await this.#keep(came, this.#read);
  }

  /**
   * A sensor whose minutes go back may have begun another session: counted from the old one's start
   * they would be days off, so the start is read again first. A download tells old minutes.
   */
  async #followSession(data: Uint8Array): Promise<void> {
    const numbers = numbersIn(CGM, data);
    if (numbers.length === 0 || this.#tries > 0) return;
    const before = this.#read.get(CGM_SESSION_START);
    this.#session ??= before ?? null;
    if (this.#session !== null && (before === undefined || Math.min(...numbers) < this.#minute)) {
      this.#minute = -1;
      this.#read.delete(CGM_SESSION_START);
      // Should it not be told, records stay without a time until it is, and come again later.
      const again = await this.#link.read(CGM_SESSION_START).catch(() => null);
      if (again !== null) {
        const changed = hexOf(again) !== hexOf(this.#session);
        this.#session = again;
        this.#read.set(CGM_SESSION_START, again);
        if (changed && this.#racp !== null) await this.#askForRecords();
      }
    }
    this.#minute = Math.max(this.#minute, ...numbers);
  }

  async #keepWaiting(): Promise<void> {
    const before = this.#waiting;
    this.#waiting = null;
    if (before !== null) await this.#keep(before, this.#read);
  }

  async #keep(came: Came, read: ReadonlyMap<number, Uint8Array>): Promise<void> {
    const { characteristic, data, at: receivedAt } = came;
    const model = findModel(this.#link.model);
    const { user } = this.#keeper;
    await this.#keeper.keep(measurements({ characteristic, data, model, receivedAt, read, user }));
    const racp = this.#racp;
    if (racp === null) return;
    const [before, first] = [racp.resumeFrom, racp.first];
    for (const number of numbersIn(characteristic, data)) {
      racp.onMeasurement(number);
      racp.stored(number);
    }
    if (racp.first !== first) {
      await this.#keeper.setProgress(this.#download + FIRST, racp.first);
    }
    await this.#noteProgress(racp, before);
  }

  async #noteProgress(racp: Racp, before: number | null): Promise<void> {
    if (racp.resumeFrom !== before) {
      await this.#keeper.setProgress(this.#download, racp.resumeFrom);
    }
  }

  async #answered(data: Uint8Array): Promise<void> {
    const racp = this.#racp;
    if (racp === null || this.#tries === 0) return;
    await this.#keepWaiting(); // The record before the end of a download has no note any more.
    const before = racp.resumeFrom;
    for (const event of racp.onIndication(data)) {
      if (event.is === 'write') await this.#link.write(CONTROL_POINT, event.data);
      else if (event.is === 'finished') this.#tries = 0;
      else if (event.is === 'restarted') this.#tries = TRIES;
      else if (event.is === 'failed') {
        this.#tries = event.again ? this.#tries - 1 : 0;
        if (this.#tries > 0) await this.#link.write(CONTROL_POINT, racp.start());
        else this.trouble = event.reason;
      }
    }
    // Records that were lost on the way move it back.
    await this.#noteProgress(racp, before);
  }
}
