// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { EcgBuffer, parseMicros } from '../../src/visit/ecg/buffer';
import { MISSING, type EcgFrame } from '../../src/visit/ecg/frames';

const START = 1_780_000_000_000_000;
const RATE = 360;

/** Frame `sequence` of 200 ms, its samples numbered by their place in the recording. */
function frame(sequence: number, { lateUs = 0, count = 72 } = {}): EcgFrame {
  return {
    stream: 's',
    sequence,
    startedAtUs: START + sequence * 200_000 + lateUs,
    samples: Int16Array.from({ length: count }, (_, i) => (sequence * 72 + i) % 30_000),
  };
}

function filled(sequences: number[], seconds?: number): EcgBuffer {
  const buffer = new EcgBuffer(RATE, START, seconds);
  for (const sequence of sequences) buffer.add(frame(sequence));
  return buffer;
}

const whole = (to: number) => Array.from({ length: to }, (_, i) => i);

describe('an ECG buffer', () => {
  it('holds frames end to end', () => {
    const buffer = filled([0, 1, 2]);
    expect([...buffer.slice(0, 216)]).toEqual(whole(216));
    expect(buffer.end).toBe(216);
  });

  it('holds the same whatever the order, and however often a frame comes', () => {
    const buffer = filled([2, 0, 3, 3, 1, 0]);
    expect([...buffer.slice(0, 288)]).toEqual(whole(288));
    expect(buffer.sequences.size).toBe(4);
  });

  it('keeps a gap a gap', () => {
    const buffer = filled([0, 2]);
    expect([...buffer.slice(72, 144)]).toEqual(Array.from({ length: 72 }, () => MISSING));
    expect(buffer.sequences.holes).toEqual([[1, 1]]);
  });

  it('fills a gap when the late frame comes, and calls it late', () => {
    const buffer = filled([0, 2]);
    expect(buffer.add(frame(1))).toEqual({ from: 72, to: 144, late: true });
    expect([...buffer.slice(0, 216)]).toEqual(whole(216));
  });

  it('says nothing was added for a double', () => {
    expect(filled([0]).add(frame(0))).toBeNull();
  });

  it('joins neighbours whose clock jitters by a few samples', () => {
    const buffer = filled([0]);
    buffer.add(frame(1, { lateUs: 5_000 }));
    expect([...buffer.slice(0, 144)]).toEqual(whole(144));
  });

  it('shows time that was lost between two frames in a row', () => {
    const buffer = filled([0]);
    const added = buffer.add(frame(1, { lateUs: 500_000 }));
    expect(added?.from).toBe(72 + 180);
    expect(buffer.at(72)).toBe(MISSING);
  });

  it('forgets what is older than it keeps, and never shows old samples as new', () => {
    const buffer = filled(
      Array.from({ length: 20 }, (_, i) => i),
      2,
    );
    expect(buffer.begin).toBe(20 * 72 - 720);
    expect(buffer.at(buffer.begin - 1)).toBe(MISSING);
    buffer.add(frame(24));
    expect(buffer.at(20 * 72)).toBe(MISSING);
    expect(buffer.at(24 * 72)).toBe(24 * 72);
  });

  it('keeps two hours, and of a clock that leapt no more than there is room for', () => {
    const buffer = new EcgBuffer(RATE, START);
    for (let sequence = 0; sequence < 36_000; sequence += 1) buffer.add(frame(sequence));
    expect([buffer.begin, buffer.end]).toEqual([0, 36_000 * 72]);
    expect(buffer.at(17_000 * 72 + 3)).toBe((17_000 * 72 + 3) % 30_000);
    buffer.add(frame(36_000, { lateUs: 86_400_000_000 }));
    expect(buffer.end - buffer.begin).toBe(8_000_000);
    expect(buffer.at(buffer.end - 1)).toBe((36_000 * 72 + 71) % 30_000);
    expect(buffer.at(buffer.end - 73)).toBe(MISSING);
  });

  it('takes no frame from before what it keeps', () => {
    const buffer = new EcgBuffer(RATE, START, 2);
    for (let sequence = 10; sequence < 30; sequence += 1) buffer.add(frame(sequence));
    expect(buffer.add(frame(0))).toBeNull();
    expect(buffer.at(buffer.begin)).toBe(buffer.begin);
  });

  it('tells the time of a sample', () => {
    expect(filled([0]).timeMs(36)).toBe(START / 1_000 + 100);
  });
});

describe('the time a stream began', () => {
  it('is read to the microsecond', () => {
    const ms = Date.UTC(2026, 2, 1, 10, 0, 0, 123);
    expect(parseMicros('2026-03-01T10:00:00.123456Z')).toBe(ms * 1_000 + 456);
    expect(parseMicros('2026-03-01T10:00:00.123Z')).toBe(ms * 1_000);
    expect(parseMicros('2026-03-01T10:00:00.1234Z')).toBe(ms * 1_000 + 400);
    expect(parseMicros('2026-03-01T10:00:00Z')).toBe((ms - 123) * 1_000);
  });
});
