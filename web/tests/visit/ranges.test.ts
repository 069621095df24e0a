// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { Ranges } from '../../src/visit/ecg/ranges';

function of(...numbers: number[]): Ranges {
  const ranges = new Ranges();
  for (const n of numbers) ranges.add(n);
  return ranges;
}

describe('ranges', () => {
  it('grow at either end and join in the middle', () => {
    expect(of(5, 6, 4).all).toEqual([[4, 6]]);
    expect(of(1, 3, 2).all).toEqual([[1, 3]]);
    expect(of(9, 1, 5).all).toEqual([
      [1, 1],
      [5, 5],
      [9, 9],
    ]);
  });

  it('tell a new number from a known one', () => {
    const ranges = of(1, 2, 3);
    expect(ranges.add(2)).toBe(false);
    expect(ranges.add(4)).toBe(true);
    expect(ranges.size).toBe(4);
  });

  it('hold every number of any order exactly once', () => {
    // A fixed walk through 0..210 that is in no order: 7 generates all residues of 211.
    const numbers = Array.from({ length: 211 }, (_, i) => (i * 7) % 211);
    const ranges = of(...numbers, ...numbers);
    expect(ranges.all).toEqual([[0, 210]]);
  });

  it('name their holes', () => {
    expect(of(0, 1, 4, 9).holes).toEqual([
      [2, 3],
      [5, 8],
    ]);
    expect(of(3).holes).toEqual([]);
  });
});
