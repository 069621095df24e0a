/** The language of this reader on this device, known before anybody has signed in. */
export const LANGUAGES = ['ru', 'tt', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

const STORED = 'yanasha.language';

export function isLanguage(value: unknown): value is Language {
  return LANGUAGES.includes(value as Language);
}

/** What was chosen here before; else what the browser prefers; else Russian. */
export function preferredLanguage(stored: string | null, browser: readonly string[]): Language {
  if (isLanguage(stored)) return stored;
  for (const tag of browser) {
    const primary = tag.toLowerCase().split('-')[0];
    if (isLanguage(primary)) return primary;
  }
  return 'ru';
}

const state = $state({ language: preferredLanguage(remembered(), navigator.languages) });

function remembered(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // Storage may be forbidden: then the browser's wish counts each time.
  }
}

/** The language now; read inside a template or an effect it is followed. */
export function language(): Language {
  return state.language;
}

export function setLanguage(next: Language): void {
  state.language = next;
  document.documentElement.lang = next;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // Chosen for this page only, then.
  }
}
