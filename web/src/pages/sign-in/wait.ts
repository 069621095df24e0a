import { t } from '../../i18n/t';

const MINUTE_S = 60;

/** How long to wait, in words: “1:05”-like clocks are hard to read for whom time is short. */
export function waitText(seconds: number): string {
  if (seconds < MINUTE_S) return t('sign-in.wait_seconds', { count: seconds });
  return t('sign-in.wait_minutes', { count: Math.ceil(seconds / MINUTE_S) });
}
