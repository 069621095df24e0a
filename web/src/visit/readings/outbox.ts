/**
 * Readings typed by hand on their way: on this device, sent, stored. What the server cannot take now
 * stays here and goes again; every try carries the same sequence, so none is stored twice.
 */

import type { Reading } from '../wire';
import type { Measurement, Refusal } from './form';

export type OutboxState = 'here' | 'sent' | 'stored' | 'repeated' | 'refused';

export interface OutboxEntry {
  measurement: Measurement;
  state: OutboxState;
  refusals: Refusal[];
}

export type SendResult =
  | { is: 'stored' | 'repeated'; reading: Reading }
  | { is: 'away'; retryAfterMs: number }
  | { is: 'refused'; refusals: Refusal[] };

export interface OutboxPlan {
  send: (measurement: Measurement) => Promise<SendResult>;
  onStored: (reading: Reading) => void;
  onChange: (entries: readonly OutboxEntry[]) => void;
}

export class Outbox {
  readonly #plan: OutboxPlan;
  #entries: readonly OutboxEntry[] = [];
  #notBefore = 0;
  #busy = false;

  constructor(plan: OutboxPlan) {
    this.#plan = plan;
  }

  get entries(): readonly OutboxEntry[] {
    return this.#entries;
  }

  /** Something is on this device only; what was refused waits here to be put right. */
  get unsent(): boolean {
    return this.#entries.some(({ state }) => state !== 'stored' && state !== 'repeated');
  }

  /** Take a measurement and try to send it; answers how that ended for now. */
  async add(measurement: Measurement): Promise<OutboxEntry> {
    this.#entries = [{ measurement, state: 'here', refusals: [] }, ...this.#entries];
    return this.#send(measurement.sequence);
  }

  /** Try again what is still here; `force` when the server is known to be back. */
  async retry(nowMs: number, force = false): Promise<void> {
    if (this.#busy || (!force && nowMs < this.#notBefore)) return;
    this.#busy = true;
    try {
      for (const { measurement, state } of [...this.#entries].reverse()) {
        if (state !== 'here') continue;
        const { state: after } = await this.#send(measurement.sequence);
        if (after === 'here') break;
      }
    } finally {
      this.#busy = false;
    }
  }

  /** Forget an entry: stored ones once they are in the list, refused ones once they are corrected. */
  drop(sequence: number): void {
    this.#entries = this.#entries.filter(({ measurement }) => measurement.sequence !== sequence);
    this.#plan.onChange(this.#entries);
  }

  async #send(sequence: number): Promise<OutboxEntry> {
    const entry = this.#set(sequence, 'sent');
    const result = await this.#plan.send(entry.measurement);
    switch (result.is) {
      case 'stored':
      case 'repeated':
        this.#plan.onStored(result.reading);
        return this.#set(sequence, result.is);
      case 'away':
        this.#notBefore = Date.now() + result.retryAfterMs;
        return this.#set(sequence, 'here');
      case 'refused':
        return this.#set(sequence, 'refused', result.refusals);
    }
  }

  #set(sequence: number, state: OutboxState, refusals: Refusal[] = []): OutboxEntry {
    const found = this.#entries.find(({ measurement }) => measurement.sequence === sequence);
    if (found === undefined) throw new Error('no such entry');
    const changed = { ...found, state, refusals };
    this.#entries = this.#entries.map((entry) => (entry === found ? changed : entry));
    this.#plan.onChange(this.#entries);
    return changed;
  }
}
