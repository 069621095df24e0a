import { language, type Language } from './language.svelte';

/** Names and patterns of one language. Months and weekdays count from January and from Sunday. */
interface Names {
  months: readonly string[];
  weekdays: readonly string[];
  day: (day: number, month: string, weekday: string) => string;
  date: (day: number, month: string, year: number) => string;
}

function intlNames(locale: string): Pick<Names, 'months' | 'weekdays'> {
  const months = new Intl.DateTimeFormat(locale, {
    day: 'numeric',
    month: 'long',
    timeZone: 'UTC',
  });
  const weekdays = new Intl.DateTimeFormat(locale, { weekday: 'long', timeZone: 'UTC' });
  // Beside a day Russian puts the month into the genitive, so it is cut out of a whole date.
  const month = (value: Date) =>
    months.formatToParts(value).find((part) => part.type === 'month')?.value ?? '';
  return {
    months: Array.from({ length: 12 }, (_, index) => month(new Date(Date.UTC(2024, index, 10)))),
    // 7 January 2024 was a Sunday.
    weekdays: Array.from({ length: 7 }, (_, index) =>
      weekdays.format(new Date(Date.UTC(2024, 0, 7 + index))),
    ),
  };
}

const NAMES: Record<Language, Names> = {
  ru: {
    ...intlNames('ru'),
    day: (day, month, weekday) => `${weekday}, ${day} ${month}`,
    date: (day, month, year) => `${day} ${month} ${year} г.`,
  },
  // Browsers have no Tatar: asked for it they print English. Patterns as in Unicode CLDR.
  tt: {
    months: [
      'гыйнвар',
      'февраль',
      'март',
      'апрель',
      'май',
      'июнь',
      'июль',
      'август',
      'сентябрь',
      'октябрь',
      'ноябрь',
      'декабрь',
    ],
    weekdays: ['якшәмбе', 'дүшәмбе', 'сишәмбе', 'чәршәмбе', 'пәнҗешәмбе', 'җомга', 'шимбә'],
    day: (day, month, weekday) => `${day} ${month}, ${weekday}`,
    date: (day, month, year) => `${day} ${month}, ${year} ел`,
  },
  en: {
    ...intlNames('en-GB'),
    day: (day, month, weekday) => `${weekday}, ${day} ${month}`,
    date: (day, month, year) => `${day} ${month} ${year}`,
  },
};

const two = (value: number) => String(value).padStart(2, '0');

function named(value: Date, name: Language): [month: string, weekday: string] {
  const names = NAMES[name];
  return [names.months[value.getMonth()] ?? '', names.weekdays[value.getDay()] ?? ''];
}

/** «воскресенье, 1 марта» · «1 март, якшәмбе» · “Sunday, 1 March”, in local time. */
export function formatDay(value: Date, name: Language = language()): string {
  const [month, weekday] = named(value, name);
  return NAMES[name].day(value.getDate(), month, weekday);
}

/** «1 марта 2026 г.» · «1 март, 2026 ел» · “1 March 2026”, in local time. */
export function formatDate(value: Date, name: Language = language()): string {
  const [month] = named(value, name);
  return NAMES[name].date(value.getDate(), month, value.getFullYear());
}

/** «1 марта» · «1 март» · “1 March”, in local time. */
export function formatMonthDay(value: Date, name: Language = language()): string {
  const [month] = named(value, name);
  return `${value.getDate()} ${month}`;
}

/** 09:05, by the local clock; the same in all three languages. */
export function formatTime(value: Date): string {
  return `${two(value.getHours())}:${two(value.getMinutes())}`;
}

/** Date and time; on the same day as `now` the time alone. */
export function formatMoment(value: Date, now: Date, name: Language = language()): string {
  if (isoDate(value) === isoDate(now)) return formatTime(value);
  return `${formatDate(value, name)}, ${formatTime(value)}`;
}

/** YYYY-MM-DD of the local calendar: what the API takes as a day. */
export function isoDate(value: Date): string {
  return `${value.getFullYear()}-${two(value.getMonth() + 1)}-${two(value.getDate())}`;
}

/** The local midnight of YYYY-MM-DD, or null when there is no such day. */
export function parseIsoDate(text: string): Date | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match) return null;
  const value = new Date(Number(match[1]), Number(match[2]) - 1, Number(match[3]));
  return isoDate(value) === text ? value : null;
}

/** The day `days` later by the calendar, which is not always 24 hours later. */
export function addDays(value: Date, days: number): Date {
  return new Date(value.getFullYear(), value.getMonth(), value.getDate() + days);
}
