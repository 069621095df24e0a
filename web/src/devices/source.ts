/** Where devices come from: Web Bluetooth in a browser that has it, anything else in a test. */

import type { KindRow } from './kinds';

/** One connection to one device. */
export interface Link {
  /** The model number it tells, or its name. */
  readonly model: string;
  has(characteristic: number): boolean;
  read(characteristic: number): Promise<Uint8Array>;
  write(characteristic: number, data: Uint8Array): Promise<void>;
  listen(characteristic: number, heard: (data: Uint8Array) => void): Promise<void>;
  /** Is done when the connection is gone, whoever ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

/** A device the person has chosen, near or not. */
export interface Found {
  /** The browser's own name for it, the same at every visit of this page. */
  readonly id: string;
  readonly name: string;
  connect(row: KindRow): Promise<Link>;
}

export interface Source {
  /** The browser's list to choose from; null when the person closed it. Needs a click. */
  choose(row: KindRow): Promise<Found | null>;
  /** A device chosen before, without asking again, where the browser allows it. */
  known(id: string): Promise<Found | null>;
}
