const PALETTE = 5;

/** Two letters of a name: «Амина Галиева» → «АГ». Letters beyond two bytes count as one. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.slice(0, 2).map((word) => Array.from(word)[0] ?? '');
  return letters.join('').toLocaleUpperCase('ru');
}

/** A colour number that stays with a person: the same id, the same colour, on every page. */
export function colourOf(id: string): number {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 65_521;
  return sum % PALETTE;
}
