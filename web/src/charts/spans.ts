/** The times a chart may show, and how finely. */

import { addDays } from '../i18n/dates';

export const SPANS = ['week', 'month', 'year'] as const;
export type Span = (typeof SPANS)[number];

/** What is asked of the server: it answers with no more bands than these. */
export interface Asked {
  since: Date;
  until: Date;
  bands: number;
}

/**
 * Whole days of the local calendar, today among them. The numbers of bands give an hour of a week,
 * a day of a month and a week of a year to each; a day more of hours lets clocks change in between.
 */
const WHOLE: Record<Span, { days: number; bands: number }> = {
  week: { days: 7, bands: 7 * 24 + 2 },
  month: { days: 30, bands: 31 },
  year: { days: 365, bands: 53 },
};

export function upToNow(span: Span, now: Date): Asked {
  const { days, bands } = WHOLE[span];
  const until = addDays(now, 1);
  return { since: addDays(until, -days), until, bands };
}

/** A visit's chart reaches as far as its readings do; the server cuts off what is no part of it. */
const AROUND_DAYS = 3;
/** A quarter of an hour of a day and a half. */
const VISIT_BANDS = 144;

export function aroundVisit(startsAt: Date, endsAt: Date, now: Date): Asked {
  const since = addDays(startsAt, -AROUND_DAYS);
  const until = new Date(Math.min(now.getTime(), addDays(endsAt, AROUND_DAYS).getTime()));
  return { since, until: until > since ? until : since, bands: VISIT_BANDS };
}
