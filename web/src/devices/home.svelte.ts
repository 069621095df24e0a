/** The devices of one person in this browser. They go on while other pages are looked at. */

import { me } from '../session.svelte';
import { Appliance } from './appliance.svelte';
import { bluetooth } from './bluetooth';
import type { DeviceKind } from './kinds';
import { removeDevice } from './rest';
import { MemoryShelf, type Shelf } from './shelf';
import { openShelf } from './shelf-idb';
import type { Source } from './source';

export class Home {
  readonly person: string;
  readonly source: Source | null;
  ready = $state(false);
  /** This browser keeps nothing: what was not stored is lost with the page. */
  forgetful = $state(false);
  appliances = $state.raw<readonly Appliance[]>([]);
  shelf: Shelf = new MemoryShelf();
  #stopped = false;

  constructor(person: string, source: Source | null = bluetooth()) {
    this.person = person;
    this.source = source;
    void this.#open();
  }

  async #open(): Promise<void> {
    try {
      this.shelf = await openShelf();
    } catch {
      this.forgetful = true;
    }
    const kept = await this.shelf.devices(this.person).catch(() => []);
    if (this.#stopped) return;
    this.appliances = kept.map(
      (device) => new Appliance({ shelf: this.shelf, person: this.person }, device.kind, device),
    );
    this.ready = true;
    for (const appliance of this.appliances) {
      void appliance.start();
      void this.#findAgain(appliance);
    }
    window.addEventListener('online', this.#online);
  }

  readonly #online = (): void => {
    for (const appliance of this.appliances) appliance.sendAtOnce();
  };

  /** Devices chosen before are looked for without a click, where the browser allows it. */
  async #findAgain(appliance: Appliance): Promise<void> {
    const radio = appliance.device?.radio ?? '';
    const found = radio === '' ? null : await this.source?.known(radio).catch(() => null);
    if (found && !this.#stopped) void appliance.hold(found);
  }

  /** A device without a name yet. */
  draft(kind: DeviceKind): Appliance {
    return new Appliance({ shelf: this.shelf, person: this.person }, kind);
  }

  /** It has a name and a place of its own now. */
  welcome(appliance: Appliance): void {
    this.appliances = [...this.appliances, appliance];
    // What waits here should outlive a browser that is short of room.
    void navigator.storage?.persist?.().catch(() => undefined);
  }

  /** Ends it here and at the server, with what it has not sent. Throws a `Problem`. */
  async remove(appliance: Appliance): Promise<void> {
    const { device } = appliance;
    if (device === null) return;
    await removeDevice(device.id).catch((error: unknown) => {
      // Removed elsewhere before: nothing is left to remove there.
      if ((error as { status?: unknown }).status !== 404) throw error;
    });
    appliance.stop();
    await this.shelf.dropDevice(device.id);
    this.appliances = this.appliances.filter((each) => each !== appliance);
  }

  stop(): void {
    this.#stopped = true;
    window.removeEventListener('online', this.#online);
    for (const appliance of this.appliances) appliance.stop();
  }
}

let home: Home | null = null;
let unwatch: (() => void) | null = null;

function leave(): void {
  home?.stop();
  home = null;
  unwatch?.();
  unwatch = null;
}

/** The devices of the person signed in. Whoever signs out takes their devices' links with them. */
export function homeOf(person: string): Home {
  if (home?.person === person) return home;
  leave();
  const here = new Home(person);
  home = here;
  unwatch = $effect.root(() => {
    $effect(() => {
      if (me()?.id !== here.person && home === here) leave();
    });
  });
  return here;
}
