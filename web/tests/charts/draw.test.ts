import { describe, expect, it } from 'vitest';
import { areaPath, byUnit, meanPath, moments, runs, wholeOf } from '../../src/charts/draw';
import type { Band, Line } from '../../src/charts/rest';
import { roundTicks, timeTicks } from '../../src/charts/scale';
import { aroundVisit, upToNow } from '../../src/charts/spans';

const HOUR = 3_600_000;
const band = (hour: number, low: number, high = low, n = 1): Band => ({
  at: new Date(Date.UTC(2026, 2, 1, hour)).toISOString(),
  n,
  low,
  high,
  mean: (low + high) / 2,
});
const line = (name: string, unit: string, bands: Band[]): Line => ({ name, unit, bands });

describe('bands of a line', () => {
  it('are never joined over a hole', () => {
    const bands = [band(0, 120), band(1, 125), band(3, 130), band(7, 118), band(8, 119)];
    expect(runs(bands, HOUR).map((run) => run.length)).toEqual([2, 1, 2]);
    expect(runs([], HOUR)).toEqual([]);
  });

  it('stay together when a clock was changed between two days', () => {
    const days = [band(0, 120), band(25, 121), band(49, 122)];
    expect(runs(days, 24 * HOUR)).toHaveLength(1);
  });

  it('show their lowest and highest, also where one stands alone', () => {
    const paper = { x: (ms: number) => ms / HOUR, y: (value: number) => value };
    const from = Date.UTC(2026, 2, 1) / HOUR;
    const whole = [band(0, 110, 150, 3), band(1, 112, 140, 2)];
    const [x0, x1] = [`${(from + 0.5).toFixed(1)}`, `${(from + 1.5).toFixed(1)}`];
    expect(areaPath(whole, HOUR, paper)).toBe(`M${x0},150.0L${x1},140.0L${x1},112.0L${x0},110.0Z`);
    expect(meanPath(whole, HOUR, paper)).toBe(`M${x0},130.0L${x1},126.0`);
    expect(areaPath([band(0, 110, 150)], HOUR, paper)).toBe(`M${x0},110.0L${x0},150.0`);
    expect(meanPath([band(0, 110, 150)], HOUR, paper)).toBe('');
  });

  it('give the mean of every reading, not of every band', () => {
    const values = line('rate', '/min', [band(0, 60, 60, 9), band(1, 160)]);
    expect(wholeOf(values)).toEqual({ n: 10, low: 60, high: 160, mean: 70 });
  });
});

it('puts lines of one unit on one paper, and reads moments of all', () => {
  const lines = [
    line('systolic', 'mm[Hg]', [band(0, 120), band(2, 122)]),
    line('diastolic', 'mm[Hg]', [band(0, 80)]),
    line('pulse', '/min', [band(1, 70)]),
  ];
  expect(byUnit(lines).map((some) => some.map(({ name }) => name))).toEqual([
    ['systolic', 'diastolic'],
    ['pulse'],
  ]);
  const start = Date.UTC(2026, 2, 1);
  expect(moments(lines)).toEqual([start, start + HOUR, start + 2 * HOUR]);
});

describe('ticks', () => {
  it('are round and hold all values between them', () => {
    expect(roundTicks({ low: 71, high: 163 }, 5)).toEqual([60, 80, 100, 120, 140, 160, 180]);
    expect(roundTicks({ low: 3.9, high: 5.2 }, 5)).toEqual([3.5, 4, 4.5, 5, 5.5]);
    expect(roundTicks({ low: 36.6, high: 36.6 }, 5)).toEqual([35.5, 36, 36.5, 37, 37.5, 38]);
  });

  it('never say the same number twice', () => {
    expect(roundTicks({ low: 63, high: 63 }, 5, 1)).toEqual([62, 63, 64]);
    expect(roundTicks({ low: 36.6, high: 36.7 }, 5, 0.1)).toEqual([36.6, 36.7]);
  });

  it('follow the calendar, and there are no more than there is room for', () => {
    const since = new Date(2026, 2, 1);
    const until = new Date(2026, 2, 8);
    expect(timeTicks(since, until, 7).map(({ at }) => at.getDate())).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(timeTicks(since, until, 4).map(({ at }) => at.getDate())).toEqual([1, 3, 5, 7]);
    for (const most of [1, 2, 3, 5, 9, 20]) {
      for (const days of [1, 2, 7, 30, 365]) {
        const end = new Date(2026, 2, 1 + days);
        expect(timeTicks(since, end, most).length).toBeLessThanOrEqual(most);
      }
    }
    const year = timeTicks(new Date(2025, 2, 2), until, 13);
    expect(year.every(({ at, label }) => at.getDate() === 1 && label === 'month')).toBe(true);
  });
});

describe('the time asked for', () => {
  it('is of whole days, today among them', () => {
    const now = new Date(2026, 2, 31, 15, 20);
    for (const [span, days] of [
      ['week', 7],
      ['month', 30],
      ['year', 365],
    ] as const) {
      const { since, until } = upToNow(span, now);
      expect(until).toEqual(new Date(2026, 3, 1));
      expect(since).toEqual(new Date(2026, 3, 1 - days));
    }
  });

  it('of a visit goes no further than now', () => {
    const [starts, ends] = [new Date(2026, 2, 10, 9), new Date(2026, 2, 10, 10)];
    const now = new Date(2026, 2, 10, 9, 30);
    expect(aroundVisit(starts, ends, now).until).toEqual(now);
    const later = aroundVisit(starts, ends, new Date(2026, 5, 1));
    expect(later.until > ends).toBe(true);
    const before = aroundVisit(starts, ends, new Date(2026, 1, 1));
    expect(before.until).toEqual(before.since);
  });
});
