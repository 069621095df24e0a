// @vitest-environment node
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MalformedFrame, decodeFrame, decodeFrames } from '../../src/visit/ecg/frames';

const here = (name: string) => new Uint8Array(readFileSync(`tests/visit/samples/${name}`));
const recorded = here('100_10s.frames');
const truth = JSON.parse(readFileSync('tests/visit/samples/100_10s.json', 'utf8')) as {
  stream: string;
  started_at_us: number;
  first: number[];
  last: number[];
  sum: number;
};

const first = recorded.subarray(4, 4 + 178);

describe('ECG frames written by the server’s own encoder', () => {
  it('are read back to the last sample, in order', () => {
    const frames = decodeFrames(recorded);
    expect(frames.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(new Set(frames.map(({ stream }) => stream))).toEqual(new Set([truth.stream]));
    expect(frames.map(({ startedAtUs }) => startedAtUs)).toEqual(
      Array.from({ length: 50 }, (_, i) => truth.started_at_us + i * 200_000),
    );
    const samples = frames.flatMap((frame) => [...frame.samples]);
    expect(samples.slice(0, 8)).toEqual(truth.first);
    expect(samples.slice(-8)).toEqual(truth.last);
    expect(samples.reduce((sum, sample) => sum + sample, 0)).toBe(truth.sum);
  });

  it('are read from the middle of a larger buffer', () => {
    expect(decodeFrame(first).samples.length).toBe(72);
  });
});

describe('bytes that are no frame', () => {
  const changed = (at: number, byte: number) => {
    const bytes = first.slice();
    bytes[at] = byte;
    return bytes;
  };

  it.each([
    ['nothing', new Uint8Array(0)],
    ['a cut header', first.subarray(0, 33)],
    ['another magic', changed(0, 0)],
    ['a cut sample', first.subarray(0, 177)],
    ['a byte too many', new Uint8Array([...first, 0])],
    ['no samples', changed(32, 0)],
    ['more samples than a frame may hold', changed(33, 0xff)],
  ])('are refused: %s', (_what, bytes) => {
    expect(() => decodeFrame(bytes)).toThrow(MalformedFrame);
  });

  it.each([1, 3, 100, recorded.length - 1])('are refused in a list cut at %i', (length) => {
    expect(() => decodeFrames(recorded.subarray(0, length))).toThrow(MalformedFrame);
  });
});
