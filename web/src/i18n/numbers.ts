import { language, type Language } from './language.svelte';

// Browsers know no Tatar; its numbers are written as the Russian ones.
const LOCALES: Record<Language, string> = { ru: 'ru', tt: 'ru', en: 'en-GB' };

/** A number as it is written in the reader's language, with at most `digits` after the comma. */
export function formatNumber(value: number, name: Language = language(), digits = 3): string {
  return new Intl.NumberFormat(LOCALES[name], { maximumFractionDigits: digits }).format(value);
}
