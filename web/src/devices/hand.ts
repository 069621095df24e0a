/** Readings typed in by hand, kept in this browser until the server has them. */

import { sendReading } from '../visit/rest';
import type { Measurement } from '../visit/readings/form';
import { Outbox, type OutboxPlan } from '../visit/readings/outbox';
import type { Shelf } from './shelf';

const MOST = 200;

/** The outbox of the visit's form, with a memory. */
export function handOutbox(
  shelf: Shelf,
  person: string,
  onChange: OutboxPlan['onChange'],
  send: OutboxPlan['send'] = sendReading,
): { outbox: Outbox; restore: () => Promise<void> } {
  const hand = `hand ${person}`;
  const outbox = new Outbox({
    send: async (measurement) => {
      const { sequence } = measurement;
      await shelf
        .put([
          {
            device: hand,
            sequence,
            state: 'here',
            cameAt: Date.now(),
            waited: false,
            reading: { ...measurement, flags: [] },
            problem: '',
          },
        ])
        .catch(() => []); // Sending matters more than a memory that is full.
      const result = await send(measurement);
      if (result.is !== 'away') await shelf.drop(hand, [sequence]).catch(() => undefined);
      return result;
    },
    onStored: () => undefined,
    onChange,
  });
  const restore = async (): Promise<void> => {
    for (const { reading } of await shelf.waiting(hand, MOST)) {
      if (reading === null) continue;
      const { kind, sequence, taken_at, unit, values } = reading;
      const measurement: Measurement = { kind, sequence, taken_at, unit, values };
      await outbox.add(measurement);
    }
  };
  return { outbox, restore };
}
