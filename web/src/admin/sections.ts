/** What an administrator's page has, in the order of its links. */
export const SECTIONS = [
  'people',
  'guardians',
  'import',
  'cards',
  'roles',
  'consents',
  'register',
  'board',
  'audit',
  'reviews',
  'erasures',
  'letters',
] as const;
export type Section = (typeof SECTIONS)[number];

/** The section an address names: the first when it names none, null when there is no such. */
export function sectionOf(name: string): Section | null {
  if (name === '') return SECTIONS[0];
  return SECTIONS.find((section) => section === name) ?? null;
}
