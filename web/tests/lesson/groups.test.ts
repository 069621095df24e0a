// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { MOST_IN_GROUP, countsFor, deal, groupOf, seated } from '../../src/lesson/groups';
import type { GroupsNow } from '../../src/lesson/wire';

const people = (count: number): string[] => Array.from({ length: count }, (_, n) => `p${n}`);

describe('dealing a class to groups', () => {
  it('seats everybody once, in groups that differ by one at most', () => {
    const groups = seated(deal(people(13), 4));
    expect(groups.flat().toSorted()).toEqual(people(13).toSorted());
    expect(groups.map(({ length }) => length).toSorted()).toEqual([3, 3, 3, 4]);
  });

  it('is by chance', () => {
    const chances = [0.9, 0.1, 0.5];
    expect(seated(deal(people(3), 3, () => chances.shift() ?? 0))).toEqual([
      ['p1'],
      ['p2'],
      ['p0'],
    ]);
  });

  it('offers no count whose groups would be too large', () => {
    for (const pupils of [0, 1, 8, 9, 30]) {
      const [least = 0] = countsFor(pupils);
      expect(Math.ceil(pupils / least)).toBeLessThanOrEqual(MOST_IN_GROUP);
    }
    expect(countsFor(9)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('leaves who stays in class out, and a group its number though it is empty', () => {
    const places = new Map([
      ['a', 3],
      ['b', 0],
      ['c', 1],
    ]);
    expect(seated(places)).toEqual([['c'], [], ['a']]);
  });
});

describe('where this person sits', () => {
  const groups: GroupsNow = {
    id: 'g',
    since: '2026-03-02T09:00:00Z',
    ends_at: '2026-03-02T09:10:00Z',
    visited: 2,
    groups: [
      { number: 1, members: [{ id: 'a', name: 'А' }] },
      { number: 2, members: [{ id: 'b', name: 'Б' }] },
    ],
  };

  it('is a pupil’s own group, the teacher’s the one visited, else the class', () => {
    expect(groupOf(groups, 'a', false)).toMatchObject({ number: 1, visited: false });
    expect(groupOf(groups, 'b', false)).toMatchObject({ number: 2, visited: true });
    expect(groupOf(groups, 'c', false)).toBe(null);
    expect(groupOf(groups, 't', true)?.number).toBe(2);
    expect(groupOf({ ...groups, visited: null }, 't', true)).toBe(null);
    expect(groupOf(null, 'a', false)).toBe(null);
  });

  it('is another room in another dividing', () => {
    const [one, two] = ['g', 'h'].map((id) => groupOf({ ...groups, id }, 'a', false)?.room);
    expect(one).not.toBe(two);
  });
});
