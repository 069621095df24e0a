import { describe, expect, it } from 'vitest';
import { NOTHING, coachingOf, next, type Shown } from '../../src/visit/ecg/coaching';
import { Marks } from '../../src/visit/ecg/marks';
import { lengths } from '../../src/visit/ecg/strips';

/** What is shown after each [moment, reason]. */
const told = (...said: [number, string | null][]): (string | null)[] => {
  let shown: Shown = NOTHING;
  return said.map(([now, reason]) => (shown = next(shown, reason, now)).coaching);
};

describe('coaching', () => {
  it.each([
    ['electrode_off', 'reseat'],
    ['flat_line', 'reseat'],
    ['saturation', 'reseat'],
    ['muscle', 'still'],
    ['movement', 'still'],
    ['drift', 'still'],
    ['mains', 'mains'],
    ['few_beats', null],
    ['of_a_newer_server', null],
    [null, null],
  ])('for %s is %s', (reason, coaching) => {
    expect(coachingOf(reason)).toBe(coaching);
  });

  it('appears at once and goes two seconds after its cause', () => {
    expect(told([0, null], [500, 'mains'], [5_000, 'mains'], [6_900, null], [7_000, null])).toEqual(
      [null, 'mains', 'mains', 'mains', null],
    );
  });

  it('can be read before another takes its place, the electrode excepted', () => {
    expect(told([0, 'muscle'], [500, 'mains'], [1_000, 'mains'])).toEqual([
      'still',
      'still',
      'mains',
    ]);
    expect(told([0, 'muscle'], [200, 'electrode_off'])).toEqual(['still', 'reseat']);
  });
});

describe('beats', () => {
  it('are kept sorted and once, however they come', () => {
    const marks = new Marks();
    marks.add([1, 5]);
    marks.add([9]);
    marks.add([5, 7]);
    expect(marks.all).toEqual([1, 5, 7, 9]);
    expect(marks.within(2, 8)).toEqual([5, 7]);
  });

  it('are those of the whole reading where there is one', () => {
    const marks = new Marks();
    marks.add([10, 20, 30, 40]);
    marks.replace(15, 35, [21, 29, 34]);
    expect(marks.all).toEqual([10, 21, 29, 34, 40]);
  });

  it('are the newest few thousand', () => {
    const marks = new Marks();
    for (let i = 0; i < 4_000; i += 1) marks.add([i]);
    expect(marks.all).toHaveLength(3_000);
    expect(marks.all.at(-1)).toBe(3_999);
  });
});

describe('a strip to attach', () => {
  it('is as long as is seen, or ten or thirty seconds where there is so much', () => {
    expect(lengths(9, 600)).toEqual([9, 10, 30]);
    expect(lengths(2.4, 12)).toEqual([2.4, 10]);
    expect(lengths(9.8, 600)).toEqual([9.8, 30]);
    expect(lengths(5, 4)).toEqual([4]);
  });

  it('is never longer than thirty seconds', () => {
    expect(lengths(41, 600)).toEqual([10, 30]);
  });
});
