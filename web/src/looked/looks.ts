import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import { formatMoment, formatTime, isoDate } from '../i18n/dates';
import { isKey, t } from '../i18n/t';

export type Look = components['schemas']['Look'];
export type Looks = components['schemas']['Looks'];
export type Place = components['schemas']['Place'];

/** What the server wants of a page after the first one. */
export const after = (place: Place | null): { before?: string; before_id?: string } =>
  place === null ? {} : { before: place.at, before_id: place.id };

/** Who looked at somebody's record: one's own, or that of a child. */
export function whoLooked(
  personId: string | null,
  own: boolean,
  place: Place | null,
): Promise<Looks> {
  const query = { own, ...after(place), ...(personId === null ? {} : { person_id: personId }) };
  return ask(api.GET('/api/v1/looked', { params: { query } }));
}

/** What was done, in words; a code of a newer server is still a line. */
export function actText(look: Look): string {
  const key = `looked.act_${look.act}`;
  const what = isKey(key) ? t(key) : t('looked.act_other', { code: look.act });
  return look.kind === 'refusal' ? t('looked.refused', { what }) : what;
}

export function whoText(look: Look, myId: string | undefined): string {
  if (look.who === null) return t('looked.who_house');
  return look.who.id === myId ? t('looked.who_me') : look.who.name;
}

/** In which hat and where, as far as it is known: «врач, Поликлиника № 7». */
export function hatText(look: Look): string {
  const key = `looked.role_${look.role ?? ''}`;
  const role = isKey(key) ? t(key) : '';
  return [role, look.organisation?.name ?? ''].filter(Boolean).join(', ');
}

/** From when until when of a sitting, as short as it can be said. */
export function whenText(look: Look, now: Date): string {
  const since = new Date(look.since);
  const until = new Date(look.until);
  const sameDay = isoDate(since) === isoDate(until);
  if (sameDay && formatTime(since) === formatTime(until)) return formatMoment(until, now);
  return t('common.time_range', {
    from: formatMoment(since, now),
    to: sameDay ? formatTime(until) : formatMoment(until, now),
  });
}

/** Whether the line is about a visit, which has a page of its own. */
export const ofVisit = (look: Look): boolean =>
  look.about_id !== null &&
  (/(^|_)visit(_|$)/.test(look.act) || look.act === 'read_note' || look.act === 'note_written');
