import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EcgFrame } from '../../src/visit/ecg/frames';
import { EcgStreams } from '../../src/visit/ecg/streams.svelte';
import type { EcgStreamInfo } from '../../src/visit/wire';

const STREAM = '01890000-0000-7000-8000-00000000ec60';
const START_MS = Date.UTC(2026, 2, 1, 10);

const info = (lastSequence: number, more: Partial<EcgStreamInfo> = {}): EcgStreamInfo => ({
  stream: STREAM,
  device: { id: 'd', name: 'Recorder' },
  lead: 'MLII',
  rate_hz: 360,
  gain_per_mv: 200,
  baseline: 1024,
  started_at: new Date(START_MS).toISOString(),
  last_sequence: lastSequence,
  frames: lastSequence + 1,
  ...more,
});

const frame = (sequence: number): EcgFrame => ({
  stream: STREAM,
  sequence,
  startedAtUs: START_MS * 1_000 + sequence * 200_000,
  samples: new Int16Array(72).fill(sequence),
});

/** The frame as it comes over the socket. */
function wire(sequence: number): ArrayBuffer {
  const { startedAtUs, samples } = frame(sequence);
  const view = new DataView(new ArrayBuffer(34 + 144));
  [...'YEC1'].forEach((letter, i) => view.setUint8(i, letter.charCodeAt(0)));
  const hex = STREAM.replaceAll('-', '');
  for (let i = 0; i < 16; i += 1) view.setUint8(4 + i, parseInt(hex.slice(2 * i, 2 * i + 2), 16));
  view.setUint32(20, sequence, true);
  view.setBigInt64(24, BigInt(startedAtUs), true);
  view.setUint16(32, samples.length, true);
  samples.forEach((sample, i) => view.setInt16(34 + 2 * i, sample, true));
  return view.buffer;
}

let stored: number[];
let streams: EcgStreams;
/** The answer waits until `release`. */
let hold: boolean;
let release: () => void;
let fail: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  stored = [];
  hold = false;
  fail = false;
  streams = new EcgStreams(async (_stream, after, limit) => {
    if (fail) throw new Error('away');
    const found = stored.filter((sequence) => sequence > after).slice(0, limit);
    if (hold) {
      hold = false;
      await new Promise<void>((resolve) => (release = resolve));
    }
    return found.map(frame);
  });
});

afterEach(() => {
  streams.stop();
  vi.useRealTimers();
});

const held = () => streams.held(STREAM)?.buffer.sequences.all;

describe('the streams of a visit', () => {
  it('join what is stored with what is live', async () => {
    stored = [0, 1, 2, 3];
    const knowing = streams.know([info(3)]);
    streams.frame(wire(4));
    await knowing;
    expect(held()).toEqual([[0, 4]]);
  });

  it('fetch a frame that the live lane has dropped', async () => {
    await streams.know([info(-1)]);
    for (const live of [0, 1, 4]) streams.frame(wire(live));
    stored = [0, 1, 2, 3, 4];
    await vi.advanceTimersByTimeAsync(5_000);
    expect(held()).toEqual([[0, 4]]);
  });

  it('fetch a frame stored after history was asked for and before the first live one', async () => {
    stored = [0, 1, 2, 3];
    const knowing = streams.know([info(3)]);
    streams.frame(wire(6));
    await knowing;
    stored = [0, 1, 2, 3, 4, 5, 6];
    await vi.advanceTimersByTimeAsync(5_000);
    expect(held()).toEqual([[0, 6]]);
  });

  it('fetch a hole once the history that was on its way is here', async () => {
    stored = [0, 1, 2];
    hold = true;
    const knowing = streams.know([info(2)]);
    for (const live of [3, 6]) streams.frame(wire(live));
    stored = [0, 1, 2, 3, 4, 5, 6];
    await vi.advanceTimersByTimeAsync(4_000);
    release();
    await knowing;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(held()).toEqual([[0, 6]]);
  });

  it('ask again for a hole that could not be fetched', async () => {
    await streams.know([info(-1)]);
    for (const live of [0, 1, 4]) streams.frame(wire(live));
    fail = true;
    await vi.advanceTimersByTimeAsync(2_000);
    fail = false;
    stored = [0, 1, 2, 3, 4];
    await vi.advanceTimersByTimeAsync(10_000);
    expect(held()).toEqual([[0, 4]]);
  });

  it('fetch what lies earlier when it is asked for', async () => {
    stored = Array.from({ length: 1_000 }, (_, i) => i);
    await streams.know([info(999)]);
    expect(held()).toEqual([[400, 999]]);
    expect(await streams.older(STREAM)).toBe(true);
    expect(held()).toEqual([[0, 999]]);
    expect(await streams.older(STREAM)).toBe(false);
  });

  it('can be leafed through from the end of an hour to its beginning', async () => {
    const hour = 18_000;
    stored = Array.from({ length: hour }, (_, i) => i);
    await streams.know([info(hour - 1)]);
    const buffer = streams.held(STREAM)?.buffer;
    const begins = [buffer?.begin];
    while (await streams.older(STREAM)) begins.push(buffer?.begin);
    expect(begins).toEqual(
      Array.from({ length: hour / 600 }, (_, i) => (hour - 600 * (i + 1)) * 72),
    );
    expect([0, 9_000, hour - 1].map((sequence) => buffer?.at(sequence * 72))).toEqual([
      0,
      9_000,
      hour - 1,
    ]);
  });

  it('tell the picture of each frame once', async () => {
    const told: [number, boolean][] = [];
    stored = [0];
    streams.listen((_stream, added, live) => told.push([added.from, live]));
    await streams.know([info(0)]);
    streams.frame(wire(1));
    streams.frame(wire(1));
    expect(told).toEqual([
      [0, false],
      [72, true],
    ]);
  });

  it('show the newest until the person chooses another', async () => {
    const newer = { stream: 'newer', started_at: new Date(START_MS + 60_000).toISOString() };
    await streams.know([info(-1), info(-1, newer)]);
    expect(streams.shown).toBe('newer');
    streams.chosen = STREAM;
    expect(streams.shown).toBe(STREAM);
  });

  it('pass over frames that are nonsense or of no stream here', () => {
    streams.frame(new ArrayBuffer(3));
    streams.frame(wire(0));
    expect(streams.held(STREAM)).toBeNull();
  });
});
