/** What a chart shows, in words. */

import '../i18n/charts';
import { formatMonthDay, formatTime, isoDate } from '../i18n/dates';
import { isKey, t } from '../i18n/t';
import '../i18n/visit';
import { decimal } from '../visit/words';
import { bandsAt, wholeOf } from './draw';
import { digitsOf } from './kinds';
import type { Band, Chart, Line } from './rest';
import type { TickLabel } from './scale';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The name of one value; an unknown one as the server wrote it. */
export function quantityText(name: string): string {
  const key = `visit.quantity_${name}`;
  return isKey(key) ? t(key) : name;
}

/** «1 мар», in the reader's language. */
const shortDay = (at: Date): string => {
  const [day = '', month = ''] = formatMonthDay(at).split(' ');
  return `${day} ${month.slice(0, 3)}`;
};

/** What stands under a tick. */
export function tickText(at: Date, label: TickLabel): string {
  if (label === 'time') return formatTime(at);
  if (label === 'day') return shortDay(at);
  return (formatMonthDay(at).split(' ')[1] ?? '').slice(0, 3);
}

/** The time a band stands for: hours of a day, a day, or days. */
export function timeText(at: number, stepMs: number): string {
  if (stepMs >= DAY_MS) {
    // Days are taken whole by the server, in whole hours of its own zone: the middle says which.
    const first = new Date(at + DAY_MS / 2);
    const last = new Date(at + stepMs - DAY_MS / 2);
    if (isoDate(first) === isoDate(last)) return formatMonthDay(first);
    return t('charts.days', { from: formatMonthDay(first), to: formatMonthDay(last) });
  }
  const [from, to] = [new Date(at), new Date(at + stepMs)];
  const times = t('common.time_range', { from: formatTime(from), to: formatTime(to) });
  return `${formatMonthDay(from)}, ${times}`;
}

/** «128 (118–142)»; of one value the value alone. */
export function bandText(kind: string, name: string, band: Omit<Band, 'at'>): string {
  const digits = digitsOf(kind, name);
  const said = (value: number): string => decimal(value, digits, digits);
  if (said(band.low) === said(band.high)) return said(band.mean);
  return t('charts.band', {
    mean: said(band.mean),
    low: said(band.low),
    high: said(band.high),
  });
}

/** One moment of the chart as a sentence: for the eye, and for who hears it. */
export function momentText(chart: Chart, at: number): string {
  const here = bandsAt(chart.lines, at).filter(({ band }) => band !== null);
  const values = here.map(
    ({ line, band }) =>
      `${quantityText(line.name)} ${bandText(chart.kind, line.name, band as Band)}`,
  );
  const count = Math.max(...here.map(({ band }) => band?.n ?? 0));
  const time = timeText(at, chart.step_s * 1_000);
  return t('charts.moment', { time, values: values.join(', '), count });
}

/** A whole line in words, instead of its picture. */
export function lineText(kind: string, line: Line): string {
  const { n, ...whole } = wholeOf(line);
  return `${quantityText(line.name)} ${bandText(kind, line.name, { n, ...whole })}`;
}

/** What lay beyond the device's scale, a sentence for each end. */
export function marksText({ marks, step_s: stepS }: Chart): string[] {
  return (['above_scale', 'below_scale'] as const).flatMap((word) => {
    const mine = marks.filter((mark) => mark.word === word);
    if (mine.length === 0) return [];
    const count = mine.reduce((sum, { n }) => sum + n, 0);
    const last = Math.max(...mine.map(({ at }) => Date.parse(at)));
    return [t(`charts.mark_${word}`, { count, time: timeText(last, stepS * 1_000) })];
  });
}
