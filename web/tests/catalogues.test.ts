// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { Message } from '../src/i18n/t';

type Catalogue = Record<string, Message>;
const files = import.meta.glob<Catalogue>('../src/i18n/*/*.json', {
  eager: true,
  import: 'default',
});

const at = (language: string, feature: string): Catalogue =>
  files[`../src/i18n/${language}/${feature}.json`] ?? {};
const features = [
  ...new Set(Object.keys(files).map((path) => path.split('/').at(-1)!.slice(0, -5))),
];
const forms = (message: Message): string[] =>
  typeof message === 'string' ? [] : Object.keys(message).sort();
const sentences = (message: Message): string[] =>
  typeof message === 'string' ? [message] : Object.values(message);
const params = (message: Message): string[] =>
  [...new Set(sentences(message).flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort();

// Names of languages are written in their own language wherever they stand.
const OWN_NAMES = new Set(['language_ru', 'language_tt', 'language_en']);

it('has the shell in catalogues', () => {
  expect(features).toEqual(expect.arrayContaining(['common', 'day', 'sign-in', 'visit']));
});

describe.each(features)('%s', (feature) => {
  const russian = at('ru', feature);

  it.each(['tt', 'en'])('has the same keys in %s as in Russian', (language) => {
    expect(Object.keys(at(language, feature)).sort()).toEqual(Object.keys(russian).sort());
  });

  it.each(['tt', 'en'])('fills the same parameters in %s as in Russian', (language) => {
    const other = at(language, feature);
    for (const [key, message] of Object.entries(russian)) {
      expect([key, params(other[key]!)]).toEqual([key, params(message)]);
    }
  });

  it('has every plural form its language asks for, and no other', () => {
    const asked = { ru: ['few', 'many', 'one', 'other'], tt: ['other'], en: ['one', 'other'] };
    for (const [language, wanted] of Object.entries(asked)) {
      for (const [key, message] of Object.entries(at(language, feature))) {
        if (typeof message !== 'string') expect([key, forms(message)]).toEqual([key, wanted]);
      }
    }
  });

  it('has no empty sentence', () => {
    for (const language of ['ru', 'tt', 'en']) {
      for (const message of Object.values(at(language, feature))) {
        for (const sentence of sentences(message)) expect(sentence.trim()).not.toBe('');
      }
    }
  });

  it('has no Cyrillic in English', () => {
    for (const [key, message] of Object.entries(at('en', feature))) {
      if (OWN_NAMES.has(key)) continue;
      expect(sentences(message).join(' ')).not.toMatch(/\p{Script=Cyrillic}/u);
    }
  });

  it('has no Russian sentence left in Tatar', () => {
    // Single words may be the same in both; a sentence of several words never is.
    for (const [key, message] of Object.entries(at('tt', feature))) {
      const same = sentences(message).filter((text) => sentences(russian[key]!).includes(text));
      expect(same.filter((text) => /\p{L}+\s+\p{L}+/u.test(text.replace(/\{\w+\}/g, '')))).toEqual(
        [],
      );
    }
  });
});

it('writes Tatar with all its six letters', () => {
  const all = features.flatMap((feature) => Object.values(at('tt', feature)).flatMap(sentences));
  for (const letter of 'әөүҗңһ') expect(all.join(' ').toLowerCase()).toContain(letter);
});
