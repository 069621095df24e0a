/**
 * Where a person stopped watching, kept on this device: ids and seconds, no names. The oldest
 * places are forgotten.
 */
const STORED = 'yanasha.watch';
const MOST = 50;
/** Nearer to the beginning or to the end it is a beginning again. */
const EDGE_S = 10;

type Places = [key: string, seconds: number][];

function places(): Places {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(STORED) ?? '[]');
    if (!Array.isArray(read)) return [];
    return (read as unknown[]).filter(
      (one): one is Places[number] =>
        Array.isArray(one) && typeof one[0] === 'string' && Number.isFinite(one[1]),
    );
  } catch {
    return []; // Storage may be forbidden, or hold what another version wrote.
  }
}

const keyOf = (personId: string, lessonId: string): string => `${personId}/${lessonId}`;

/** The second to go on from; 0 when there is none. */
export function placeOf(personId: string, lessonId: string): number {
  const key = keyOf(personId, lessonId);
  return places().find(([one]) => one === key)?.[1] ?? 0;
}

export function keepPlace(
  personId: string,
  lessonId: string,
  seconds: number,
  durationS: number,
): void {
  const key = keyOf(personId, lessonId);
  const others = places().filter(([one]) => one !== key);
  const worth = seconds > EDGE_S && seconds < durationS - EDGE_S;
  const kept: Places = worth ? [[key, Math.floor(seconds)], ...others] : others;
  try {
    localStorage.setItem(STORED, JSON.stringify(kept.slice(0, MOST)));
  } catch {
    // Then the next time begins at the beginning.
  }
}
