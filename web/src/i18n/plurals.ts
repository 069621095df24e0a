import type { Language } from './language.svelte';

export type PluralForm = 'zero' | 'one' | 'two' | 'few' | 'many' | 'other';

const rules = {
  ru: new Intl.PluralRules('ru'),
  en: new Intl.PluralRules('en'),
};

/**
 * The plural form of `count`. Tatar is answered here: browsers have no Tatar rule and would
 * silently take that of their own language. A Tatar noun stays singular after a numeral,
 * so there is one form.
 */
export function pluralForm(language: Language, count: number): PluralForm {
  return language === 'tt' ? 'other' : rules[language].select(count);
}
