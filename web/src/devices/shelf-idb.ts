/** The shelf in IndexedDB: what is put there is on this computer's disk when it is done. */

import {
  MOST_WAITING,
  noCounts,
  ShelfFull,
  STATES,
  type Counts,
  type Entry,
  type KeptDevice,
  type Shelf,
  type State,
} from './shelf';

const NAME = 'yanasha-devices';
const DEVICES = 'devices';
const READINGS = 'readings';
const BY_STATE = 'by_state';

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((give, fail) => {
    request.onsuccess = () => give(request.result);
    request.onerror = () => fail(request.error ?? new Error('IndexedDB'));
  });

const ended = (transaction: IDBTransaction): Promise<void> =>
  new Promise((give, fail) => {
    transaction.oncomplete = () => give();
    transaction.onabort = () => fail(transaction.error ?? new Error('IndexedDB'));
  });

/** All numbers of a device: numbers sort before lists in a key. */
const ofDevice = (device: string): IDBKeyRange => IDBKeyRange.bound([device], [device, []]);

class IdbShelf implements Shelf {
  readonly #db: IDBDatabase;

  constructor(db: IDBDatabase) {
    this.#db = db;
    // A newer page in another tab may change the store; this one is loaded anew then.
    db.onversionchange = () => db.close();
  }

  #begin(mode: IDBTransactionMode, ...stores: string[]): IDBTransaction {
    // Strict: a reading is acknowledged to its device only when it would outlive a power cut.
    return this.#db.transaction(stores, mode, { durability: 'strict' });
  }

  async devices(person: string): Promise<KeptDevice[]> {
    const store = this.#begin('readonly', DEVICES).objectStore(DEVICES);
    const all = (await done(store.getAll())) as KeptDevice[];
    return all.filter((each) => each.person === person);
  }

  async putDevice(device: KeptDevice): Promise<void> {
    const transaction = this.#begin('readwrite', DEVICES);
    transaction.objectStore(DEVICES).put(device);
    await ended(transaction);
  }

  async dropDevice(id: string): Promise<void> {
    const transaction = this.#begin('readwrite', DEVICES, READINGS);
    transaction.objectStore(DEVICES).delete(id);
    transaction.objectStore(READINGS).delete(ofDevice(id));
    await ended(transaction);
  }

  async put(entries: readonly Entry[]): Promise<Entry[]> {
    if (entries.length === 0) return [];
    const transaction = this.#begin('readwrite', READINGS);
    const finished = ended(transaction);
    finished.catch(() => undefined); // A failure is told by the await at the end.
    const store = transaction.objectStore(READINGS);
    const fresh: Entry[] = [];
    for (const entry of entries) {
      const { device, sequence } = entry;
      if ((await done(store.getKey([device, sequence]))) !== undefined) continue;
      if ((await this.#count(store, device, ['here', 'sent'])) >= MOST_WAITING) {
        transaction.abort();
        throw new ShelfFull();
      }
      store.put(entry);
      fresh.push(entry);
    }
    await finished;
    return fresh;
  }

  async waiting(device: string, most: number): Promise<Entry[]> {
    const sent = await this.#of(device, 'sent', most);
    return sent.length >= most
      ? sent
      : [...sent, ...(await this.#of(device, 'here', most - sent.length))];
  }

  refused(device: string, most: number): Promise<Entry[]> {
    return this.#of(device, 'refused', most);
  }

  async mark(device: string, sequences: readonly number[], change: Partial<Entry>): Promise<void> {
    const transaction = this.#begin('readwrite', READINGS);
    const store = transaction.objectStore(READINGS);
    for (const sequence of sequences) {
      const asked = store.get([device, sequence]) as IDBRequest<Entry | undefined>;
      asked.onsuccess = () => {
        if (asked.result !== undefined) store.put({ ...asked.result, ...change });
      };
    }
    await ended(transaction);
  }

  async drop(device: string, sequences: readonly number[]): Promise<void> {
    const transaction = this.#begin('readwrite', READINGS);
    const store = transaction.objectStore(READINGS);
    for (const sequence of sequences) store.delete([device, sequence]);
    await ended(transaction);
  }

  async counts(device: string): Promise<Counts> {
    const store = this.#begin('readonly', READINGS).objectStore(READINGS);
    const counts = noCounts();
    await Promise.all(
      STATES.map(async (state) => {
        counts[state] = await this.#count(store, device, [state]);
      }),
    );
    return counts;
  }

  async forget(device: string, before: number): Promise<void> {
    const stored = await this.#of(device, 'stored');
    const old = stored.filter(({ cameAt }) => cameAt < before);
    await this.drop(
      device,
      old.map(({ sequence }) => sequence),
    );
  }

  async #count(store: IDBObjectStore, device: string, states: readonly State[]): Promise<number> {
    const index = store.index(BY_STATE);
    const each = states.map((state) => done(index.count(IDBKeyRange.only([device, state]))));
    return (await Promise.all(each)).reduce((sum, count) => sum + count, 0);
  }

  /** In the order of their numbers, which is that of the device's clock. */
  async #of(device: string, state: State, most?: number): Promise<Entry[]> {
    const index = this.#begin('readonly', READINGS).objectStore(READINGS).index(BY_STATE);
    return (await done(index.getAll(IDBKeyRange.only([device, state]), most))) as Entry[];
  }
}

/** Opens the store; throws in a browser that keeps nothing. */
export async function openShelf(): Promise<Shelf> {
  const asked = indexedDB.open(NAME, 1);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore(DEVICES, { keyPath: 'id' });
    const readings = asked.result.createObjectStore(READINGS, { keyPath: ['device', 'sequence'] });
    readings.createIndex(BY_STATE, ['device', 'state']);
  };
  return new IdbShelf(await done(asked));
}
