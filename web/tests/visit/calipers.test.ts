// @vitest-environment node
import { describe, expect, it } from 'vitest';
import {
  begin,
  between,
  fit,
  keyStep,
  nearest,
  put,
  shift,
  stepMv,
  type Calipers,
} from '../../src/visit/ecg/calipers';
import { PX_PER_MM } from '../../src/visit/ecg/scale';

const room = { ms: 10_000, mv: 2.25 };
const calipers: Calipers = { first: 1_000, second: 1_800, upper: 1, lower: -0.25 };

describe('between two markers', () => {
  it('lies a time, the rate of beats so far apart, and a voltage', () => {
    expect(between(calipers)).toEqual({ ms: 800, bpm: 75, mv: 1.25 });
  });

  it('it is the same whichever is first', () => {
    const turned = { first: 1_800, second: 1_000, upper: -0.25, lower: 1 };
    expect(between(turned)).toEqual(between(calipers));
  });

  it.each([0, 190, 6_010])('%i ms are no heart rate', (ms) => {
    expect(between({ ...calipers, second: 1_000 + ms }).bpm).toBeNull();
  });
});

describe('a key', () => {
  it('moves a moment by 10 ms, with Shift by 100', () => {
    expect(keyStep('first', 'ArrowRight', false, 10)).toBe(10);
    expect(keyStep('second', 'ArrowLeft', true, 10)).toBe(-100);
  });

  it('moves a level by one pixel, with Shift by ten', () => {
    const px = (mv: number | null): number => (mv ?? NaN) * 10 * PX_PER_MM;
    expect(px(keyStep('upper', 'ArrowUp', false, 10))).toBeCloseTo(1);
    expect(px(keyStep('lower', 'ArrowDown', true, 10))).toBeCloseTo(-10);
    expect(stepMv(20)).toBeCloseTo(stepMv(10) / 2);
  });

  it('that is no arrow moves nothing', () => {
    expect(keyStep('first', 'Tab', false, 10)).toBeNull();
    expect(keyStep('upper', 'a', false, 10)).toBeNull();
  });
});

describe('the markers', () => {
  it('stay on the strip', () => {
    expect(put(calipers, 'second', 12_000, room).second).toBe(10_000);
    expect(put(calipers, 'first', -5, room).first).toBe(0);
    expect(put(calipers, 'upper', 9, room).upper).toBe(2.25);
    expect(fit({ first: -1, second: 11_000, upper: 3, lower: -3 }, room)).toEqual({
      first: 0,
      second: 10_000,
      upper: 2.25,
      lower: -2.25,
    });
  });

  it('begin on the last two beats in view, without beats on the middle third', () => {
    expect(begin(room, [-200, 700, 1_500, 2_300, 10_400])).toMatchObject({
      first: 1_500,
      second: 2_300,
    });
    const third = begin(room, [400]);
    expect(third.second - third.first).toBeCloseTo(10_000 / 3);
  });

  it('stay on their waves at another speed, and begin anew where these are out of view', () => {
    const half = { ...room, ms: 5_000 };
    const late = { ...calipers, first: 7_000, second: 7_800 };
    const faster = shift(late, -5_000, half, []);
    expect(faster).toEqual({ ...late, first: 2_000, second: 2_800 });
    expect(shift(faster, 5_000, room, [])).toEqual(late);
    expect(shift(calipers, -5_000, half, [3_000, 4_000])).toEqual({
      ...calipers,
      first: 3_000,
      second: 4_000,
    });
  });

  it('are taken by the nearest finger, a moment when it is far from all', () => {
    const at = { first: 100, second: 300, upper: 40, lower: 90 };
    expect(nearest(290, 60, at)).toBe('second');
    expect(nearest(200, 44, at)).toBe('upper');
    expect(nearest(200, 140, at)).toBe('first');
    expect(nearest(230, 140, at)).toBe('second');
  });
});
