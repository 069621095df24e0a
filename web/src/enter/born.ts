import { isoDate } from '../i18n/dates';

const OLDEST_YEARS = 130;

/** A date of birth as people write it (17.05.1988, 17/5/1988, 17051988) in ISO form, or null. */
export function bornOn(typed: string, today: Date = new Date()): string | null {
  const digits = /^(\d{2})(\d{2})(\d{4})$/.exec(typed.trim());
  const parted = /^(\d{1,2})[\s./-]+(\d{1,2})[\s./-]+(\d{4})$/.exec(typed.trim());
  const [, day, month, year] = (digits ?? parted ?? []).map(Number);
  if (day === undefined || month === undefined || year === undefined) return null;
  const date = new Date(year, month - 1, day);
  const real = date.getMonth() === month - 1 && date.getDate() === day;
  const lived = today.getFullYear() - year;
  return real && date <= today && lived <= OLDEST_YEARS ? isoDate(date) : null;
}
