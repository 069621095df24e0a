import { afterEach, describe, expect, it } from 'vitest';
import { LANGUAGES, preferredLanguage, setLanguage } from '../src/i18n/language.svelte';
import { formatNumber } from '../src/i18n/numbers';
import { pluralForm } from '../src/i18n/plurals';
import { formatAge } from '../src/i18n/relative';
import { isKey, t, translate } from '../src/i18n/t';

afterEach(() => setLanguage('ru'));

describe('plural forms', () => {
  it.each([
    [0, 'many'],
    [1, 'one'],
    [2, 'few'],
    [5, 'many'],
    [11, 'many'],
    [21, 'one'],
    [22, 'few'],
    [1.5, 'other'],
  ])('takes for %d in Russian the form %s', (count, form) => {
    expect(pluralForm('ru', count)).toBe(form);
  });

  it.each([0, 1, 2, 5, 11, 21, 100])('has one form in Tatar, also for %d', (count) => {
    expect(pluralForm('tt', count)).toBe('other');
  });

  it('tells one from many in English', () => {
    expect([1, 2, 0].map((count) => pluralForm('en', count))).toEqual(['one', 'other', 'other']);
  });
});

describe('t', () => {
  it('speaks the language that is set', () => {
    const spoken = LANGUAGES.map((language) => {
      setLanguage(language);
      return t('sign-in.go');
    });
    expect(spoken).toEqual(['Войти', 'Керү', 'Sign in']);
  });

  it('chooses the plural form by count', () => {
    const said = [1, 3, 7].map((count) => translate('ru', 'common.age_minutes', { count }));
    expect(said).toEqual(['1 минуту назад', '3 минуты назад', '7 минут назад']);
  });

  it('keeps a Tatar noun singular after a numeral', () => {
    expect(translate('tt', 'common.age_minutes', { count: 22 })).toBe('22 минут элек');
  });

  it('fills parameters in', () => {
    expect(translate('en', 'day.greeting', { name: 'Амина' })).toBe('Hello, Амина!');
  });

  it('fills a parameter literally, whatever signs it holds', () => {
    expect(translate('en', 'day.greeting', { name: '$& {name} $1' })).toBe('Hello, $& {name} $1!');
  });

  it('leaves a forgotten parameter to be seen', () => {
    expect(translate('en', 'day.greeting')).toBe('Hello, {name}!');
  });

  it('knows its keys', () => {
    expect([isKey('day.greeting'), isKey('day.none'), isKey('none.greeting')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('the language of the first visit', () => {
  it('is the one chosen here before', () => {
    expect(preferredLanguage('tt', ['en-GB'])).toBe('tt');
  });

  it('else is the first of the browser that we speak', () => {
    expect(preferredLanguage(null, ['de-DE', 'en-US', 'ru'])).toBe('en');
  });

  it('else is Russian', () => {
    expect(preferredLanguage('xx', ['de'])).toBe('ru');
  });
});

describe('numbers', () => {
  it('have a comma in Russian and in Tatar, a point in English', () => {
    expect(LANGUAGES.map((language) => formatNumber(36.6, language))).toEqual([
      '36,6',
      '36,6',
      '36.6',
    ]);
  });

  it('are rounded to the digits asked for', () => {
    expect(formatNumber(5.55, 'en', 1)).toBe('5.6');
  });
});

describe('age in words', () => {
  const now = new Date('2026-03-01T12:00:00Z');
  it.each([
    ['2026-03-01T11:59:30Z', 'только что'],
    ['2026-03-01T11:55:00Z', '5 минут назад'],
    ['2026-03-01T09:00:00Z', '3 часа назад'],
    ['2026-02-27T12:00:00Z', '2 дня назад'],
    ['2026-03-01T12:05:00Z', 'только что'],
  ])('of %s is “%s”', (then, words) => {
    expect(formatAge(new Date(then), now)).toBe(words);
  });
});
