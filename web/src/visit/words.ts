/** Sentences of the visit room that several places need. */

import { formatMoment, formatTime } from '../i18n/dates';
import { language } from '../i18n/language.svelte';
import { t, type Key } from '../i18n/t';
import '../i18n/visit';
import type { IconName } from '../ui/icons';
import type { SignalNow } from './ecg/streams.svelte';

type Tone = 'calm' | 'good' | 'attention' | 'danger' | 'info';

export interface Look {
  tone: Tone;
  icon: IconName;
  text: Key;
}

export const QUALITY_LOOK: Record<SignalNow, Look> = {
  good: { tone: 'good', icon: 'check', text: 'visit.ecg_quality_good' },
  noisy: { tone: 'attention', icon: 'trace', text: 'visit.ecg_quality_noisy' },
  unusable: { tone: 'danger', icon: 'warning', text: 'visit.ecg_quality_unusable' },
  lead_off: { tone: 'danger', icon: 'warning', text: 'visit.ecg_quality_lead_off' },
  late: { tone: 'attention', icon: 'clock', text: 'visit.ecg_quality_late' },
  no_signal: { tone: 'calm', icon: 'away', text: 'visit.ecg_quality_no_signal' },
};

const LOCALES = { ru: 'ru', tt: 'ru', en: 'en-GB' } as const;

/** A number with at most, or exactly, so many digits after the comma. */
export function decimal(value: number, most: number, least = 0): string {
  return new Intl.NumberFormat(LOCALES[language()], {
    minimumFractionDigits: least,
    maximumFractionDigits: most,
  }).format(value);
}

const LIVE_MS = 60_000;
/** A recorder's clock ahead of the server's by more is worth a word. */
const AHEAD_MS = 2_000;

/** How old the newest sample is: a delay while it is live, a time of day afterwards. */
export function delayText(newestAtMs: number, nowMs: number, today: Date): string {
  if (newestAtMs === 0) return t('visit.ecg_delay_none');
  const age = nowMs - newestAtMs;
  if (age < -AHEAD_MS) return t('visit.ecg_clock_ahead');
  if (age < LIVE_MS) {
    return t('visit.ecg_delay', { seconds: decimal(Math.max(0, age) / 1_000, 1, 1) });
  }
  return t('visit.ecg_last_at', { time: formatMoment(new Date(newestAtMs), today) });
}

/** 09:05:07, by the local clock: a strip of ten seconds needs its seconds. */
export function secondsText(at: Date): string {
  return `${formatTime(at)}:${String(at.getSeconds()).padStart(2, '0')}`;
}
