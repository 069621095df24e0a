/**
 * What lasts in this browser: the devices added here and their readings on the way to the server.
 * A reading's values leave as soon as the server has stored it; only its number stays a while.
 */

import type { DeviceReading } from './gatt/to-measurement';
import type { DeviceKind } from './kinds';

/** On this device, sent without an answer so far, stored by the server, refused by it. */
export type State = 'here' | 'sent' | 'stored' | 'refused';
export const STATES: readonly State[] = ['here', 'sent', 'stored', 'refused'];

export interface Entry {
  device: string;
  sequence: number;
  state: State;
  cameAt: number;
  /** It could not go out when it came: the line was away. */
  waited: boolean;
  /** Null once the server has it. */
  reading: DeviceReading | null;
  /** The server's word on a refused one. */
  problem: string;
}

export interface KeptDevice {
  /** The server's. */
  id: string;
  person: string;
  name: string;
  kind: DeviceKind;
  /** Good for sending this device's readings and for nothing else. */
  token: string;
  /** The browser's own name for it. */
  radio: string;
  user: number | null;
  /** The last record kept of each download. */
  progress: Record<string, number | null>;
}

export type Counts = Record<State, number>;
export const noCounts = (): Counts => ({ here: 0, sent: 0, stored: 0, refused: 0 });

/** More waits for the server than this browser takes: a household's year. */
export class ShelfFull extends Error {}
export const MOST_WAITING = 20_000;
/** So long the number of a stored reading is remembered. */
export const REMEMBERED_MS = 30 * 86_400_000;

export interface Shelf {
  devices(person: string): Promise<KeptDevice[]>;
  putDevice(device: KeptDevice): Promise<void>;
  /** With all its readings. */
  dropDevice(id: string): Promise<void>;
  /** Takes readings that are new here, all or none; says which were. Throws ShelfFull. */
  put(entries: readonly Entry[]): Promise<Entry[]>;
  /** What the server has not answered for, oldest first. */
  waiting(device: string, most: number): Promise<Entry[]>;
  refused(device: string, most: number): Promise<Entry[]>;
  mark(device: string, sequences: readonly number[], change: Partial<Entry>): Promise<void>;
  drop(device: string, sequences: readonly number[]): Promise<void>;
  counts(device: string): Promise<Counts>;
  /** Forgets the numbers of what was stored before this moment. */
  forget(device: string, before: number): Promise<void>;
}

/** For a browser that keeps nothing (a private window), and for tests. */
export class MemoryShelf implements Shelf {
  readonly #devices = new Map<string, KeptDevice>();
  readonly #entries = new Map<string, Map<number, Entry>>();

  devices(person: string): Promise<KeptDevice[]> {
    return Promise.resolve([...this.#devices.values()].filter((each) => each.person === person));
  }

  putDevice(device: KeptDevice): Promise<void> {
    this.#devices.set(device.id, device);
    return Promise.resolve();
  }

  dropDevice(id: string): Promise<void> {
    this.#devices.delete(id);
    this.#entries.delete(id);
    return Promise.resolve();
  }

  put(entries: readonly Entry[]): Promise<Entry[]> {
    const fresh: Entry[] = [];
    for (const entry of entries) {
      const shelf = this.#entries.get(entry.device) ?? new Map<number, Entry>();
      if (shelf.has(entry.sequence)) continue;
      if (this.#of(entry.device, ['here', 'sent']).length >= MOST_WAITING) {
        return Promise.reject(new ShelfFull());
      }
      this.#entries.set(entry.device, shelf.set(entry.sequence, entry));
      fresh.push(entry);
    }
    return Promise.resolve(fresh);
  }

  waiting(device: string, most: number): Promise<Entry[]> {
    return Promise.resolve(this.#of(device, ['sent', 'here']).slice(0, most));
  }

  refused(device: string, most: number): Promise<Entry[]> {
    return Promise.resolve(this.#of(device, ['refused']).slice(0, most));
  }

  mark(device: string, sequences: readonly number[], change: Partial<Entry>): Promise<void> {
    const shelf = this.#entries.get(device);
    for (const sequence of sequences) {
      const entry = shelf?.get(sequence);
      if (entry !== undefined) shelf?.set(sequence, { ...entry, ...change });
    }
    return Promise.resolve();
  }

  drop(device: string, sequences: readonly number[]): Promise<void> {
    for (const sequence of sequences) this.#entries.get(device)?.delete(sequence);
    return Promise.resolve();
  }

  counts(device: string): Promise<Counts> {
    const counts = noCounts();
    for (const state of STATES) counts[state] = this.#of(device, [state]).length;
    return Promise.resolve(counts);
  }

  forget(device: string, before: number): Promise<void> {
    const old = this.#of(device, ['stored']).filter(({ cameAt }) => cameAt < before);
    return this.drop(
      device,
      old.map(({ sequence }) => sequence),
    );
  }

  #of(device: string, states: readonly State[]): Entry[] {
    const all = [...(this.#entries.get(device)?.values() ?? [])];
    return all
      .filter(({ state }) => states.includes(state))
      .sort((a, b) => states.indexOf(a.state) - states.indexOf(b.state) || a.sequence - b.sequence);
  }
}
