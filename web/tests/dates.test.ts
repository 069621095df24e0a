// @vitest-environment node
import { describe, expect, it } from 'vitest';
import {
  addDays,
  formatDate,
  formatDay,
  formatMoment,
  formatMonthDay,
  formatTime,
  isoDate,
  parseIsoDate,
} from '../src/i18n/dates';
import { LANGUAGES } from '../src/i18n/language.svelte';

const sunday = new Date(2026, 2, 1, 9, 5);

describe('a day', () => {
  it('is named with its weekday in each language', () => {
    expect(LANGUAGES.map((language) => formatDay(sunday, language))).toEqual([
      'воскресенье, 1 марта',
      '1 март, якшәмбе',
      'Sunday, 1 March',
    ]);
  });

  it('is named with its year in each language', () => {
    expect(LANGUAGES.map((language) => formatDate(sunday, language))).toEqual([
      '1 марта 2026 г.',
      '1 март, 2026 ел',
      '1 March 2026',
    ]);
  });

  it('is named shortly in each language', () => {
    expect(LANGUAGES.map((language) => formatMonthDay(sunday, language))).toEqual([
      '1 марта',
      '1 март',
      '1 March',
    ]);
  });
});

it('names all seven weekdays in Tatar', () => {
  const names = Array.from({ length: 7 }, (_, index) => formatDay(addDays(sunday, index), 'tt'));
  expect(names.map((name) => name.split(', ')[1])).toEqual([
    'якшәмбе',
    'дүшәмбе',
    'сишәмбе',
    'чәршәмбе',
    'пәнҗешәмбе',
    'җомга',
    'шимбә',
  ]);
});

it('names all twelve months in Tatar, none as in English', () => {
  const names = Array.from({ length: 12 }, (_, month) =>
    formatMonthDay(new Date(2026, month, 1), 'tt'),
  );
  expect(names[0]).toBe('1 гыйнвар');
  expect(new Set(names).size).toBe(12);
  expect(names.join(' ')).not.toMatch(/[a-z]/i);
});

it('puts Russian months into the genitive', () => {
  expect(formatMonthDay(new Date(2026, 4, 9), 'ru')).toBe('9 мая');
});

it('writes the time with two digits', () => {
  expect(formatTime(sunday)).toBe('09:05');
});

it('writes the time alone for a moment of today', () => {
  expect(formatMoment(sunday, new Date(2026, 2, 1, 23, 59), 'ru')).toBe('09:05');
});

it('writes the whole date too for a moment of another day', () => {
  expect(formatMoment(sunday, new Date(2026, 2, 2), 'ru')).toBe('1 марта 2026 г., 09:05');
});

it('writes and reads the day of the API', () => {
  expect(isoDate(sunday)).toBe('2026-03-01');
  expect(parseIsoDate('2026-03-01')).toEqual(new Date(2026, 2, 1));
});

it.each(['2026-02-30', '2026-13-01', '2026-3-1', 'today', ''])('refuses the day “%s”', (text) => {
  expect(parseIsoDate(text)).toBeNull();
});

it('goes over the end of a month', () => {
  expect(isoDate(addDays(new Date(2026, 1, 28), 1))).toBe('2026-03-01');
});
