import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Appliance } from '../../src/devices/appliance.svelte';
import type { Given } from '../../src/devices/gatt/to-measurement';
import { handOutbox } from '../../src/devices/hand';
import { homeOf } from '../../src/devices/home.svelte';
import type { Post } from '../../src/devices/sending';
import { MemoryShelf, type Entry, type KeptDevice } from '../../src/devices/shelf';
import { loadSession, signOut } from '../../src/session.svelte';
import { network, person } from '../network';

const NOW = Date.parse('2026-03-10T09:00:00Z');

const given = (sequence: number, user: number | null = null): Given => ({
  reading: {
    kind: 'blood_pressure',
    sequence,
    taken_at: new Date(NOW).toISOString(),
    unit: 'mmHg',
    values: { systolic: 110 + sequence, diastolic: 80 },
    flags: [],
  },
  user,
});

const stores: Post = (_, readings) =>
  Promise.resolve({
    is: 'answered',
    status: 201,
    body: { results: readings.map(({ sequence }) => ({ sequence })) },
    retryAfterS: null,
  });

/** A shelf that writes down in which order it was asked to keep things. */
class Watched extends MemoryShelf {
  readonly order: string[] = [];

  override putDevice(device: KeptDevice): Promise<void> {
    this.order.push(`device ${JSON.stringify(device.progress)}`);
    return super.putDevice(device);
  }

  override put(entries: readonly Entry[]): Promise<Entry[]> {
    this.order.push(`readings ${entries.map(({ sequence }) => sequence).join(' ')}`);
    return super.put(entries);
  }
}

let shelf: Watched;
const made = { id: 'd1', name: 'Cuff', kinds: ['blood_pressure'], token: 'secret' };

beforeEach(() => {
  shelf = new Watched();
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const draft = (post: Post = stores) =>
  new Appliance({ shelf, person: person.id, post, now: () => NOW }, 'meter');

describe('a device that is added', () => {
  it('keeps its readings before it notes that they need not be told again', async () => {
    network({ 'POST /api/v1/devices': { status: 201, body: made } });
    const device = draft();
    await device.keep([given(1), given(2), given(2)]);
    await device.setProgress('glucose', 2);
    await device.adopt('Cuff', null);
    expect(shelf.order).toEqual(['device {}', 'readings 1 2', 'device {"glucose":2}']);
    await vi.waitFor(() => expect(device.counts.stored).toBe(2));
    expect(device.progress('glucose')).toBe(2);
  });

  it('takes the readings of the chosen user, and those of nobody', async () => {
    network({ 'POST /api/v1/devices': { status: 201, body: made } });
    const device = draft();
    await device.keep([given(1, 1), given(2, 2), given(3)]);
    expect(device.users).toEqual([1, 2]);
    await device.adopt('Cuff', 2);
    expect(shelf.order).toContain('readings 2 3');
    expect(device.user).toBe(2);
  });

  it('stays a draft with all it heard when the server is away, and can be added later', async () => {
    network({ 'POST /api/v1/devices': [{ down: true }, { status: 201, body: made }] });
    const device = draft();
    await device.keep([given(1)]);
    await expect(device.adopt('Cuff', null)).rejects.toMatchObject({ code: 'server_away' });
    expect(device.heardCount).toBe(1);
    await device.adopt('Cuff', null);
    await vi.waitFor(() => expect(device.counts.stored).toBe(1));
  });

  it('says of what was no reading how many and why, and nothing of what is another’s', async () => {
    const device = draft();
    await device.keep([
      { reason: 'control_solution', sequence: 8 },
      { reason: 'other_user', sequence: null },
      { reason: 'interim', sequence: null },
    ]);
    expect(device.notReadings).toEqual({ count: 1, reason: 'control_solution' });
  });
});

it('what is measured while the line is away is marked from the start', async () => {
  network({ 'POST /api/v1/devices': { status: 201, body: made } });
  const device = draft(() => Promise.resolve({ is: 'silent', left: false }));
  await device.keep([given(1)]);
  await device.adopt('Cuff', null);
  await vi.waitFor(() => expect(device.lineAway).toBe(true));
  await device.keep([given(2)]);
  expect((await shelf.waiting('d1', 9)).map(({ waited }) => waited)).toEqual([true, true]);
  device.stop();
});

it('a typed reading waits on the shelf until the server has it', async () => {
  const send = vi
    .fn()
    .mockResolvedValueOnce({ is: 'away', retryAfterMs: 0 })
    .mockResolvedValue({ is: 'stored', reading: {} });
  const { reading } = given(7);
  const { kind, sequence, taken_at, unit, values } = reading;
  const first = handOutbox(shelf, person.id, () => undefined, send);
  await first.outbox.add({ kind, sequence, taken_at, unit, values });
  expect(await shelf.waiting(`hand ${person.id}`, 9)).toHaveLength(1);
  // The page is opened anew.
  const second = handOutbox(shelf, person.id, () => undefined, send);
  await second.restore();
  expect(send.mock.calls[1]).toEqual(send.mock.calls[0]);
  expect(await shelf.waiting(`hand ${person.id}`, 9)).toEqual([]);
});

it('devices of a person end with their session', async () => {
  network({ 'GET /api/v1/me': { body: person }, 'POST /api/v1/sign-out': { status: 204 } });
  await loadSession();
  const home = homeOf(person.id);
  expect(homeOf(person.id)).toBe(home);
  const ended = vi.spyOn(home, 'stop');
  await signOut();
  await vi.waitFor(() => expect(ended).toHaveBeenCalledOnce());
});
