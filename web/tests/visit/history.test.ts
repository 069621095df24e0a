// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { EcgBuffer } from '../../src/visit/ecg/buffer';
import type { EcgFrame } from '../../src/visit/ecg/frames';
import { PAGE_FRAMES, catchUp, type FetchFrames } from '../../src/visit/ecg/history';

const frame = (sequence: number): EcgFrame => ({
  stream: 's',
  sequence,
  startedAtUs: sequence * 200_000,
  samples: new Int16Array(72).fill(sequence % 1_000),
});

/** The server's side: stored frames, asked for page by page. */
function stored(sequences: number[]): { fetch: FetchFrames; asked: [number, number][] } {
  const asked: [number, number][] = [];
  return {
    asked,
    fetch: (_stream, after, limit) => {
      asked.push([after, limit]);
      return Promise.resolve(
        sequences
          .filter((sequence) => sequence > after)
          .slice(0, limit)
          .map(frame),
      );
    },
  };
}

const upTo = (last: number) => Array.from({ length: last + 1 }, (_, i) => i);

async function join(buffer: EcgBuffer, server: ReturnType<typeof stored>, lastStored: number) {
  return catchUp({
    stream: 's',
    lastStored,
    have: buffer.sequences,
    add: (each) => void buffer.add(each),
    fetch: server.fetch,
  });
}

describe('history joined with live frames', () => {
  it('has no hole and no double when live frames came before it', async () => {
    const buffer = new EcgBuffer(360, 0);
    for (const live of [41, 42, 43]) buffer.add(frame(live));
    await join(buffer, stored(upTo(43)), 43);
    expect(buffer.sequences.all).toEqual([[0, 43]]);
    expect(buffer.end).toBe(44 * 72);
  });

  it('asks only for what a lost link took away', async () => {
    const buffer = new EcgBuffer(360, 0);
    for (const before of upTo(10)) buffer.add(frame(before));
    const server = stored(upTo(30));
    await join(buffer, server, 30);
    expect(server.asked).toEqual([[10, 20]]);
    expect(buffer.sequences.all).toEqual([[0, 30]]);
  });

  it('asks for nothing when everything is here', async () => {
    const buffer = new EcgBuffer(360, 0);
    for (const before of upTo(10)) buffer.add(frame(before));
    const server = stored(upTo(10));
    expect(await join(buffer, server, 10)).toBe(0);
    expect(server.asked).toEqual([]);
  });

  it('begins two minutes back in a long recording', async () => {
    const buffer = new EcgBuffer(360, 0);
    await join(buffer, stored(upTo(5_000)), 5_000);
    expect(buffer.sequences.all).toEqual([[5_001 - PAGE_FRAMES, 5_000]]);
  });

  it('fills an outage longer than a page, page by page', async () => {
    const buffer = new EcgBuffer(360, 0);
    for (const before of upTo(100)) buffer.add(frame(before));
    buffer.add(frame(1_900));
    const server = stored(upTo(1_900));
    await join(buffer, server, 1_900);
    expect(buffer.sequences.all).toEqual([[0, 1_900]]);
    expect(server.asked.map(([, limit]) => limit)).toEqual([600, 600, 599]);
  });

  it('asks for no more than two hours', async () => {
    const buffer = new EcgBuffer(360, 0);
    buffer.add(frame(0));
    const server = stored(upTo(39_999));
    await join(buffer, server, 39_999);
    expect(buffer.sequences.all).toEqual([
      [0, 0],
      [4_000, 39_999],
    ]);
  });

  it('leaves a frame that was never stored as a gap, and comes to an end', async () => {
    const buffer = new EcgBuffer(360, 0);
    const server = stored([...upTo(10), 14, 15]);
    await join(buffer, server, 20);
    expect(buffer.sequences.all).toEqual([
      [0, 10],
      [14, 15],
    ]);
  });
});
