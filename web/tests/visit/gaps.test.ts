// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { EcgBuffer } from '../../src/visit/ecg/buffer';
import { MISSING } from '../../src/visit/ecg/frames';
import { GUTTER, canvasX, paintBeats, paintTrace, type Strip } from '../../src/visit/ecg/paint';
import {
  PX_PER_MM,
  SPEEDS,
  secondsAcross,
  type Paper,
  type Speed,
} from '../../src/visit/ecg/scale';

const RATE = 250;
const FRAME = 50;

/** What the pen did: lines from one place to another, and shaded columns. Node has no canvas. */
class Paths {
  lines: { from: number; to: number }[] = [];
  columns: { x: number; width: number }[] = [];
  #x = 0;
  readonly pen = {
    beginPath: () => {},
    stroke: () => {},
    moveTo: (x: number) => (this.#x = x),
    lineTo: (x: number) => {
      this.lines.push({ from: this.#x, to: x });
      this.#x = x;
    },
    fillRect: (x: number, _y: number, width: number) => this.columns.push({ x, width }),
  } as unknown as CanvasRenderingContext2D;

  /** Lines that reach into what lies between. */
  across(first: number, after: number): { from: number; to: number }[] {
    const edge = 0.5;
    return this.lines.filter(({ from, to }) => from < after - edge && to > first + edge);
  }

  /** Lines that go over this place. */
  over(x: number): number {
    return this.lines.filter(({ from, to }) => Math.min(from, to) < x && x < Math.max(from, to))
      .length;
  }
}

function buffer(frames: number, lost: readonly number[], off: readonly number[] = []): EcgBuffer {
  const made = new EcgBuffer(RATE, 0);
  for (let sequence = 0; sequence < frames; sequence += 1) {
    if (lost.includes(sequence)) continue;
    const startedAtUs = (sequence * FRAME * 1_000_000) / RATE;
    const samples = new Int16Array(FRAME).map((_, i) => (off.includes(sequence) ? MISSING : i * 4));
    made.add({ stream: 's', sequence, startedAtUs, samples });
  }
  return made;
}

function strip(held: EcgBuffer, speed: Speed, left: number | null): Strip {
  const paper: Paper = { speed, gain: 10, width: 700, height: 170 };
  const ink = '#000';
  const inks = { paper: ink, fine: ink, bold: ink, trace: ink, gap: ink, mark: ink, beat: ink };
  return { buffer: held, calibration: { gain_per_mv: 200, baseline: 0 }, paper, inks, left };
}

const CAUSES = [
  ['a lost frame', [12], []],
  ['an electrode that is off', [], [12]],
] as const;

describe.each(SPEEDS)('at %s mm/s', (speed) => {
  it.each(CAUSES)('%s is a shaded gap in the frozen strip, never a joined line', (_, lost, off) => {
    const held = buffer(25, lost, off);
    const paths = new Paths();
    const still = strip(held, speed, 400);
    paintTrace(paths.pen, still, 400, 900);
    const [first, after] = [12 * FRAME, 13 * FRAME].map((at) => canvasX(still, at));
    expect(paths.across(first!, after!)).toEqual([]);
    expect(paths.over(first! - 4)).toBe(1);
    expect(paths.over(after! + 4)).toBe(1);
    const shaded = paths.columns.reduce((sum, { width }) => sum + width, 0);
    expect(Math.abs(shaded - (after! - first!))).toBeLessThanOrEqual(1.5);
  });

  it.each(CAUSES)('%s stays a gap however the sweep cuts it into pieces', (_, lost, off) => {
    const held = buffer(25, lost, off);
    for (const piece of [1, 7, FRAME, 333]) {
      const paths = new Paths();
      const sweep = strip(held, speed, null);
      // Only the last window: what was there before is erased, here nothing is.
      const begin = Math.max(0, 25 * FRAME - Math.floor(secondsAcross(sweep.paper) * RATE * 0.9));
      for (let from = begin; from < 25 * FRAME; from += piece) {
        paintTrace(paths.pen, sweep, from, Math.min(25 * FRAME, from + piece));
      }
      if (12 * FRAME <= begin) continue;
      const [first, after] = [12 * FRAME, 13 * FRAME].map((at) => canvasX(sweep, at));
      if (after! < first!) continue;
      expect(paths.across(first!, after!)).toEqual([]);
      expect(paths.over(first! - 4)).toBeGreaterThanOrEqual(1);
    }
  });

  it('no line goes back over the paper where the sweep begins again', () => {
    const held = buffer(200, []);
    const paths = new Paths();
    paintTrace(paths.pen, strip(held, speed, null), 0, 200 * FRAME);
    expect(paths.lines.every(({ from, to }) => to > from)).toBe(true);
    const step = (speed * PX_PER_MM) / RATE;
    expect(Math.max(...paths.lines.map(({ from, to }) => to - from))).toBeLessThan(step * 1.5);
  });
});

it('a beat has its mark above the peak, and a peak off the paper has it on the paper', () => {
  const held = buffer(4, []);
  const drawn: [number, number][] = [];
  const pen = {
    beginPath: () => {},
    stroke: () => {},
    moveTo: (x: number, y: number) => drawn.push([x, y]),
    lineTo: (x: number, y: number) => drawn.push([x, y]),
  } as unknown as CanvasRenderingContext2D;
  // The last sample of each frame is its highest: 196 units, 0.98 mV.
  const still = strip(held, 25, 0);
  paintBeats(pen, still, [49]);
  const peak = 85 - 0.98 * 10 * PX_PER_MM;
  expect(drawn[0]?.[0]).toBeCloseTo(GUTTER + canvasX(still, 49) - GUTTER);
  expect(drawn[0]?.[1]).toBeCloseTo(peak - 0.8 * PX_PER_MM);
  expect(drawn[1]![1]).toBeLessThan(drawn[0]![1]);
  drawn.length = 0;
  paintBeats(pen, { ...still, paper: { ...still.paper, gain: 20, height: 60 } }, [49]);
  expect(Math.min(...drawn.map(([, y]) => y))).toBeGreaterThan(0);
});
