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
    marks.add([1e6, 5e6]);
    marks.add([9e6]);
    marks.add([5e6, 7e6]);
    expect(marks.all).toEqual([1e6, 5e6, 7e6, 9e6]);
    expect(marks.within(2e6, 8e6)).toEqual([5e6, 7e6]);
  });

  it('are those of the whole reading where there is one', () => {
    const marks = new Marks();
    marks.add([10e6, 20e6, 30e6, 40e6]);
    marks.replace(15e6, 35e6, [21e6, 29e6, 34e6]);
    expect(marks.all).toEqual([10e6, 21e6, 29e6, 34e6, 40e6]);
    // The live word for one of them comes behind: it is the same beat, a little beside.
    marks.add([29.04e6, 33.98e6, 39.95e6, 40.03e6]);
    expect(marks.all).toEqual([10e6, 21e6, 29e6, 34e6, 40e6]);
  });

  it('are those of two hours, and no more', () => {
    const marks = new Marks();
    for (let i = 0; i < 40_000; i += 1) marks.add([i * 200_000]);
    expect(marks.all).toHaveLength(36_000);
    expect(marks.all.at(-1)).toBe(39_999 * 200_000);
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
