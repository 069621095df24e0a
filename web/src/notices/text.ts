import { formatMoment } from '../i18n/dates';
import { isKey, t, type Params } from '../i18n/t';

/** A notice in words; of a server newer than this page only that there is one. */
export function noticeText(code: string, params: Params, now: Date): string {
  const key = `notices.code_${code}`;
  return isKey(key) ? t(key, local(params, now)) : t('notices.code_other');
}

/** Times come in ISO 8601 under names that end with `at`; people read their own clock. */
function local(params: Params, now: Date): Params {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      const isTime = (name === 'at' || name.endsWith('_at')) && typeof value === 'string';
      const time = isTime ? new Date(value) : null;
      return [name, time && !Number.isNaN(time.getTime()) ? formatMoment(time, now) : value];
    }),
  );
}
