// @vitest-environment node
import { describe, expect, it } from 'vitest';
import {
  atFields,
  emptyDraft,
  handSequence,
  localInput,
  parseNumber,
  toMeasurement,
  type Draft,
  type Measurement,
} from '../../src/visit/readings/form';
import { merge } from '../../src/visit/readings/list';
import { Outbox, type OutboxEntry, type SendResult } from '../../src/visit/readings/outbox';
import type { Reading } from '../../src/visit/wire';

export function reading(id: string, takenAt: string, sequence = 0): Reading {
  return {
    id,
    kind: 'glucose',
    sequence,
    taken_at: takenAt,
    received_at: takenAt,
    values: { glucose: 5.6 },
    unit: 'mmol/L',
    sent_values: { glucose: 5.6 },
    sent_unit: 'mmol/L',
    device: { id: 'd', name: 'Meter' },
    flags: [],
  };
}

describe('the list of readings', () => {
  const [one, two, three, four] = [1, 2, 3, 4].map((n) =>
    reading(`r${n}`, `2026-03-01T10:0${n}:00Z`, n),
  ) as [Reading, Reading, Reading, Reading];

  it('is newest first by the time of measuring, whatever order they come in', () => {
    const list = [one, two, four, three].reduce<readonly Reading[]>(
      (all, each) => merge(all, [each]),
      [],
    );
    expect(list.map(({ id }) => id)).toEqual(['r4', 'r3', 'r2', 'r1']);
  });

  it('holds a reading once, live and from the store', () => {
    const live = merge([], [two]);
    const joined = merge(live, [one, two, three, three]);
    expect(joined.map(({ id }) => id)).toEqual(['r3', 'r2', 'r1']);
  });

  it('is the same list when nothing is new, so the page does not redraw', () => {
    const list = merge([], [one, two]);
    expect(merge(list, [two, one])).toBe(list);
  });

  it('orders readings of one moment by the device’s own number', () => {
    const moment = '2026-03-01T10:00:00Z';
    const list = merge([], [reading('a', moment, 7), reading('b', moment, 9)]);
    expect(list.map(({ sequence }) => sequence)).toEqual([9, 7]);
  });
});

describe('a number typed by hand', () => {
  it.each([
    ['128', 128],
    [' 5,6 ', 5.6],
    ['36.6', 36.6],
    ['-1', -1],
  ])('%s is read', (text, value) => {
    expect(parseNumber(text)).toBe(value);
  });

  it.each(['', '12O', '1e3', '5,6,7', 'Infinity', '0x10', '1 000', '9999999'])(
    '“%s” is none',
    (text) => {
      expect(parseNumber(text)).toBeNull();
    },
  );
});

describe('the form', () => {
  const draft = (texts: Record<string, string>, more: Partial<Draft> = {}): Draft => ({
    ...emptyDraft('blood_pressure', new Date(2026, 2, 1, 9, 5)),
    texts,
    ...more,
  });

  it('makes a measurement with its unit and UTC time; an empty pulse is left out', () => {
    const made = toMeasurement(draft({ systolic: '128', diastolic: '82', pulse: ' ' }), 42);
    expect(made).toEqual({
      measurement: {
        kind: 'blood_pressure',
        sequence: 42,
        taken_at: new Date(2026, 2, 1, 9, 5).toISOString(),
        unit: 'mmHg',
        values: { systolic: 128, diastolic: 82 },
      },
    });
  });

  it('names every empty and unreadable field at once', () => {
    const made = toMeasurement(draft({ diastolic: 'many', pulse: '71' }, { unit: '', at: '' }), 1);
    expect('refusals' in made && made.refusals.map(({ field, code }) => [field, code])).toEqual([
      ['values.systolic', 'value_missing'],
      ['values.diastolic', 'not_a_number'],
      ['unit', 'unit_missing'],
      ['taken_at', 'time_missing'],
    ]);
  });

  it('puts refusals of the server at its own fields, with their limits', () => {
    expect(
      atFields([
        {
          field: 'readings[0].values.spo2',
          code: 'out_of_range',
          params: { low: 30, high: 100, unit: '%' },
        },
        { field: 'taken_at', code: 'from_future' },
      ]),
    ).toEqual([
      { field: 'values.spo2', code: 'out_of_range', params: { low: 30, high: 100, unit: '%' } },
      { field: 'taken_at', code: 'from_future', params: {} },
    ]);
  });

  it('gives local time to the minute', () => {
    expect(localInput(new Date(2026, 0, 5, 7, 3, 59))).toBe('2026-01-05T07:03');
  });

  it('numbers a reading within what a number can hold exactly', () => {
    expect(Number.isSafeInteger(handSequence(Date.UTC(2250, 0), 0.999))).toBe(true);
    expect(handSequence(1_000, 0.5)).toBe(1_000_500);
  });
});

describe('readings on their way', () => {
  const measurement = (sequence: number): Measurement => ({
    kind: 'glucose',
    sequence,
    taken_at: '2026-03-01T10:00:00Z',
    unit: 'mmol/L',
    values: { glucose: 5.6 },
  });

  /** A server that answers each try in turn. */
  function outbox(...answers: SendResult[]) {
    const sent: number[] = [];
    const stored: string[] = [];
    const seen: string[] = [];
    const box = new Outbox({
      send: ({ sequence }) => {
        sent.push(sequence);
        return Promise.resolve(answers.shift() ?? { is: 'away', retryAfterMs: 0 });
      },
      onStored: ({ id }) => stored.push(id),
      onChange: (entries: readonly OutboxEntry[]) =>
        seen.push(entries.map(({ state }) => state).join()),
    });
    return { box, sent, stored, seen };
  }

  it('are on this device, sent, stored, in that order', async () => {
    const { box, stored, seen } = outbox({ is: 'stored', reading: reading('a', '') });
    await box.add(measurement(1));
    expect(seen).toEqual(['sent', 'stored']);
    expect(stored).toEqual(['a']);
    expect(box.unsent).toBe(false);
  });

  it('are only here while refused, until they are put right', async () => {
    const { box } = outbox({ is: 'refused', refusals: [] });
    await box.add(measurement(1));
    expect(box.unsent).toBe(true);
    box.drop(1);
    expect(box.unsent).toBe(false);
  });

  it('stay here while the stores are away, and go again with the same number', async () => {
    const { box, sent } = outbox(
      { is: 'away', retryAfterMs: 0 },
      { is: 'stored', reading: reading('a', '') },
    );
    expect((await box.add(measurement(5))).state).toBe('here');
    expect(box.unsent).toBe(true);
    await box.retry(Date.now() + 1);
    expect(sent).toEqual([5, 5]);
    expect(box.entries.map(({ state }) => state)).toEqual(['stored']);
  });

  it('wait as long as the server asked, unless it says that it is back', async () => {
    const { box, sent } = outbox({ is: 'away', retryAfterMs: 60_000 });
    await box.add(measurement(1));
    await box.retry(Date.now() + 1_000);
    expect(sent).toEqual([1]);
    await box.retry(Date.now() + 1_000, true);
    expect(sent).toEqual([1, 1]);
  });

  it('go oldest first, and stop at the first that cannot', async () => {
    const { box, sent } = outbox();
    await box.add(measurement(1));
    await box.add(measurement(2));
    sent.length = 0;
    await box.retry(Date.now() + 1, true);
    expect(sent).toEqual([1]);
  });

  it('that are refused say why and are not sent again', async () => {
    const { box, sent } = outbox({
      is: 'refused',
      refusals: [{ field: 'unit', code: 'unit_unknown', params: {} }],
    });
    const entry = await box.add(measurement(1));
    expect(entry.state).toBe('refused');
    expect(entry.refusals[0]?.code).toBe('unit_unknown');
    await box.retry(Date.now() + 1, true);
    expect(sent).toEqual([1]);
    box.drop(1);
    expect(box.entries).toEqual([]);
  });

  it('that were stored before are called repeated', async () => {
    const { box, stored } = outbox({ is: 'repeated', reading: reading('a', '') });
    expect((await box.add(measurement(1))).state).toBe('repeated');
    expect(stored).toEqual(['a']);
  });
});
