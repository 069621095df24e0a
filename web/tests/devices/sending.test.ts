// @vitest-environment node
import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceReading } from '../../src/devices/gatt/to-measurement';
import { flush, type Answer, type Post } from '../../src/devices/sending';
import { MemoryShelf, type Entry } from '../../src/devices/shelf';

const NOW = Date.parse('2026-03-10T09:00:00Z');

const entry = (sequence: number, changed: Partial<Entry> = {}, agoS = 5): Entry => ({
  device: 'cuff',
  sequence,
  state: 'here',
  cameAt: NOW,
  waited: false,
  reading: {
    kind: 'blood_pressure',
    sequence,
    taken_at: new Date(NOW - agoS * 1_000).toISOString(),
    unit: 'mmHg',
    values: { systolic: 120, diastolic: 80 },
    flags: [],
  },
  problem: '',
  ...changed,
});

const answered = (status: number, body: unknown): Answer => ({
  is: 'answered',
  status,
  body,
  retryAfterS: null,
});
const named = (readings: readonly DeviceReading[], status = 201): Answer =>
  answered(status, { results: readings.map(({ sequence }) => ({ sequence, status: 'stored' })) });
const silent: Answer = { is: 'silent', left: false };

let shelf: MemoryShelf;
let tries: number[][];
let got: DeviceReading[];

beforeEach(() => {
  shelf = new MemoryShelf();
  tries = [];
  got = [];
});

/** A server that answers so; what it stores is in `got`. */
const send = (answer: (readings: readonly DeviceReading[]) => Answer) => {
  const post: Post = (_, readings) => {
    tries.push(readings.map(({ sequence }) => sequence));
    const found = answer(readings);
    if (found.is === 'answered' && found.status < 300) got.push(...readings);
    return Promise.resolve(found);
  };
  const plan = { shelf, device: 'cuff', token: 'token', now: () => NOW, changed: () => undefined };
  return flush({ ...plan, post });
};

describe('readings on their way', () => {
  it('are stored when the server names them, and their values leave this browser', async () => {
    await shelf.put([entry(1), entry(2)]);
    expect(await send((readings) => named(readings))).toEqual({ is: 'done' });
    expect(await shelf.counts('cuff')).toEqual({ here: 0, sent: 0, stored: 2, refused: 0 });
    await shelf.mark('cuff', [1, 2], { state: 'here' });
    expect((await shelf.waiting('cuff', 9)).map(({ reading }) => reading)).toEqual([null, null]);
  });

  it.each([
    ['a sign-in page of a hotel', answered(200, null)],
    ['an answer about other readings', answered(201, { results: [{ sequence: 7 }] })],
    ['a proxy’s refusal', answered(403, '<html>')],
  ])('are not stored by %s', async (_, answer) => {
    await shelf.put([entry(1)]);
    expect(await send(() => answer)).toEqual({ is: 'away', retryAfterS: null });
    expect(await shelf.counts('cuff')).toMatchObject({ here: 1, stored: 0 });
  });

  it('may be stored or not after an answer that was lost or a server that failed', async () => {
    await shelf.put([entry(1)]);
    await send(() => ({ is: 'silent', left: true }));
    expect(await shelf.counts('cuff')).toMatchObject({ here: 0, sent: 1 });
    await send(() => answered(503, null));
    expect(await shelf.counts('cuff')).toMatchObject({ here: 0, sent: 1 });
    await send((readings) => named(readings, 200));
    expect(await shelf.counts('cuff')).toMatchObject({ sent: 0, stored: 1 });
  });

  it('are marked late when they had to wait for the line, or were taken long ago', async () => {
    await shelf.put([entry(1)]);
    await send(() => silent);
    await shelf.put([entry(2), entry(3, {}, 16 * 60), entry(4, { waited: true })]);
    await send((readings) => named(readings));
    const late = got.filter(({ flags }) => flags.includes('late'));
    expect(late.map(({ sequence }) => sequence)).toEqual([1, 3, 4]);
  });

  it('are not held back by one the server will never take', async () => {
    await shelf.put(Array.from({ length: 9 }, (_, index) => entry(index + 1)));
    const bad = {
      code: 'bad_readings',
      errors: [{ field: 'values.systolic', code: 'out_of_range' }],
    };
    const ended = await send((readings) =>
      readings.some(({ sequence }) => sequence === 6) ? answered(422, bad) : named(readings),
    );
    expect(ended).toEqual({ is: 'done' });
    expect(got.map(({ sequence }) => sequence).sort()).toEqual([1, 2, 3, 4, 5, 7, 8, 9]);
    expect(await shelf.refused('cuff', 9)).toMatchObject([
      { sequence: 6, problem: 'out_of_range' },
    ]);
    expect(tries.length).toBeLessThan(9);
  });

  it('stay here when the server does not take the device any more', async () => {
    await shelf.put([entry(1), entry(2)]);
    const ended = await send(() => answered(401, { code: 'not_signed_in' }));
    expect(ended).toEqual({ is: 'turned_away', code: 'not_signed_in' });
    expect(await shelf.counts('cuff')).toMatchObject({ here: 2 });
  });
});

describe('the shelf', () => {
  it('keeps a reading that comes again once, and knows it when it is stored', async () => {
    await shelf.put([entry(1)]);
    await send((readings) => named(readings));
    expect(await shelf.put([entry(1), entry(2)])).toMatchObject([{ sequence: 2 }]);
    expect(await shelf.counts('cuff')).toMatchObject({ here: 1, stored: 1 });
  });

  it('forgets numbers of what was stored long ago, and never what waits', async () => {
    await shelf.put([entry(1, { cameAt: 0 }), entry(2, { cameAt: 0, state: 'stored' })]);
    await shelf.forget('cuff', NOW);
    expect(await shelf.counts('cuff')).toMatchObject({ here: 1, stored: 0 });
  });
});
