/** Groups of a class: where this person sits, and how pupils are dealt to groups. */

import type { GroupsNow } from './wire';

/** The server refuses larger ones. */
export const MOST_IN_GROUP = 8;
export const MOST_GROUPS = 20;

export interface MyGroup {
  number: number;
  /** Another one after each move: media of one room are worth nothing in the next. */
  room: string;
  endsAt: string;
  /** The teacher is in it. */
  visited: boolean;
}

/** The group a pupil is in, or the one the teacher is visiting. */
export function groupOf(
  groups: GroupsNow | null,
  you: string | null,
  teacher: boolean,
): MyGroup | null {
  if (groups === null) return null;
  const number = teacher
    ? groups.visited
    : groups.groups.find(({ members }) => members.some(({ id }) => id === you))?.number;
  if (number === null || number === undefined) return null;
  return {
    number,
    room: `${groups.id} ${number}`,
    endsAt: groups.ends_at,
    visited: groups.visited === number,
  };
}

/** How many groups there must be at least, and at most. */
export function countsFor(pupils: number): number[] {
  const least = Math.max(1, Math.ceil(pupils / MOST_IN_GROUP));
  const most = Math.max(least, Math.min(MOST_GROUPS, pupils));
  return Array.from({ length: most - least + 1 }, (_, n) => least + n);
}

/** Deals people to groups one after the other, in an order of chance: sizes differ by one at most. */
export function deal(
  people: readonly string[],
  count: number,
  chance: () => number = Math.random,
): Map<string, number> {
  const order = people
    .map((id) => ({ id, at: chance() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ id }) => id);
  return new Map(order.map((id, n) => [id, (n % count) + 1]));
}

/** The groups as the server takes them; one that nobody sits in keeps its number. */
export function seated(places: ReadonlyMap<string, number>): string[][] {
  const most = Math.max(0, ...places.values());
  const groups = Array.from({ length: most }, (): string[] => []);
  for (const [id, number] of places) groups[number - 1]?.push(id);
  return groups;
}
