import { t } from './t';

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;

/** The age of something in words: «только что», «5 минут назад». Never “in the future”. */
export function formatAge(then: Date, now: Date): string {
  const seconds = Math.max(0, (now.getTime() - then.getTime()) / 1000);
  if (seconds < MINUTE_S) return t('common.age_now');
  if (seconds < HOUR_S) return t('common.age_minutes', { count: Math.floor(seconds / MINUTE_S) });
  if (seconds < DAY_S) return t('common.age_hours', { count: Math.floor(seconds / HOUR_S) });
  return t('common.age_days', { count: Math.floor(seconds / DAY_S) });
}
