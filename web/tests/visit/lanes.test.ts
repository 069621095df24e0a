// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { SignalLog, at, place, placeOf, runs, type View } from '../../src/visit/ecg/lanes';
import type { Quality, Vitals } from '../../src/visit/wire';

const S = 1_000_000;
/** Ten seconds across 1000 px, standing still at second 40. */
const frozen: View = {
  fromUs: 40 * S,
  untilUs: 50 * S,
  leftUs: 40 * S,
  originUs: 0,
  acrossUs: 10 * S,
  width: 1_000,
};
/** The same paper swept: the pen is at second 44, the erase bar half a second wide before it. */
const swept: View = { ...frozen, fromUs: 34.5 * S, untilUs: 44 * S, leftUs: null };

describe('a span under the trace', () => {
  it('stands where the trace shows it, cut to what is in view', () => {
    expect(place(frozen, 42 * S, 45 * S)).toEqual([{ x: 200, width: 300 }]);
    expect(place(frozen, 30 * S, 41 * S)).toEqual([{ x: 0, width: 100 }]);
    expect(place(frozen, 49 * S, 70 * S)).toEqual([{ x: 900, width: 100 }]);
    expect(place(frozen, 20 * S, 40 * S)).toEqual([]);
    expect(place(frozen, 50 * S, 60 * S)).toEqual([]);
  });

  it('is a place without a width for a moment, as one early beat is', () => {
    expect(place(frozen, 42 * S, 42 * S)).toEqual([{ x: 200, width: 0 }]);
    expect(place(frozen, 39 * S, 39 * S)).toEqual([]);
    expect(place(frozen, 51 * S, 51 * S)).toEqual([]);
  });

  it('is two pieces where the sweep begins again at the left', () => {
    expect(place(swept, 38 * S, 42 * S)).toEqual([
      { x: 800, width: 200 },
      { x: 0, width: 200 },
    ]);
    expect(place(swept, 30 * S, 36 * S)).toEqual([{ x: 450, width: 150 }]);
  });

  it('has no place for a moment out of view', () => {
    expect(placeOf(frozen, 39 * S)).toBeNull();
    expect(placeOf(swept, 43 * S)).toBe(300);
  });
});

it('joins seconds that follow one another and are alike', () => {
  const second = (n: number, quality: Quality, reason: string | null = null) => ({
    at_us: n * S,
    quality,
    reason,
  });
  expect(
    runs([
      second(0, 'good'),
      second(1, 'good'),
      second(2, 'noisy', 'mains'),
      second(3, 'noisy', 'muscle'),
      second(5, 'noisy', 'muscle'),
    ]),
  ).toEqual([
    { first_us: 0, last_us: 2 * S, quality: 'good', reason: null },
    { first_us: 2 * S, last_us: 3 * S, quality: 'noisy', reason: 'mains' },
    { first_us: 3 * S, last_us: 4 * S, quality: 'noisy', reason: 'muscle' },
    { first_us: 5 * S, last_us: 6 * S, quality: 'noisy', reason: 'muscle' },
  ]);
});

describe('what was said of a live signal', () => {
  const vitals = (quality: Quality, rhythm: string | null = null): Vitals => ({
    stream: 's',
    heart_rate_bpm: 70,
    quality,
    reason: null,
    at: '',
    rhythm,
  });

  it('holds for the second before, and joins what is alike', () => {
    const log = new SignalLog();
    log.said(vitals('good', 'regular'), 10 * S);
    log.said(vitals('good', 'regular'), 11 * S);
    log.said(vitals('noisy', 'pause'), 11.5 * S);
    expect(log.lanes.quality).toEqual([
      { first_us: 9 * S, last_us: 11 * S, quality: 'good', reason: null },
      { first_us: 11 * S, last_us: 11.5 * S, quality: 'noisy', reason: null },
    ]);
    expect(log.lanes.rhythm).toEqual([
      { first_us: 9 * S, last_us: 11 * S, code: 'regular' },
      { first_us: 11 * S, last_us: 11.5 * S, code: 'pause' },
    ]);
    expect(at(log.lanes.quality, 10.5 * S)?.quality).toBe('good');
    expect(at(log.lanes.quality, 12 * S)?.quality).toBe('noisy');
    expect(at(log.lanes.quality, 14.5 * S)).toBeNull();
    expect(at(log.lanes.quality, 8 * S)).toBeNull();
  });

  it('says nothing of a silence before, and nothing when told late or of no signal', () => {
    const log = new SignalLog();
    log.said(vitals('good'), 10 * S);
    log.said(vitals('good'), 20 * S);
    log.said(vitals('noisy'), 15 * S);
    log.said(vitals('no_signal'), 21 * S);
    expect(log.lanes.quality.map(({ first_us, last_us }) => [first_us / S, last_us / S])).toEqual([
      [9, 10],
      [19, 20],
    ]);
  });

  it('forgets what is older than the trace', () => {
    const log = new SignalLog();
    for (let n = 1; n <= 1_000; n += 1) log.said(vitals(n % 2 === 0 ? 'good' : 'noisy'), n * S);
    expect(log.lanes.quality).toHaveLength(600);
    expect(log.lanes.quality.at(-1)?.last_us).toBe(1_000 * S);
  });
});
