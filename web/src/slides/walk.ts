/** A list that is one stop of the Tab key: where an arrow, Home or End leads; null for other keys. */
export function walkTo(
  event: KeyboardEvent,
  from: number,
  first: number,
  last: number,
): number | null {
  if (event.altKey || event.ctrlKey || event.metaKey) return null;
  const to: Record<string, number> = {
    ArrowRight: from + 1,
    ArrowDown: from + 1,
    ArrowLeft: from - 1,
    ArrowUp: from - 1,
    Home: first,
    End: last,
  };
  const place = to[event.key];
  return place === undefined ? null : Math.min(last, Math.max(first, place));
}
