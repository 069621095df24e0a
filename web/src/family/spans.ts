/** For how long a teen may open health to a guardian. */

export const SPANS = ['day', 'week', 'month', 'half_year'] as const;
export type Span = (typeof SPANS)[number];

const DAYS: Readonly<Record<Span, number>> = { day: 1, week: 7, month: 30, half_year: 182 };
const DAY_MS = 86_400_000;

export const until = (span: Span, now: Date): Date => new Date(now.getTime() + DAYS[span] * DAY_MS);
