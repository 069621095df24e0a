import type { Me } from '../api/types';
import { t } from '../i18n/t';
import { dayHash, laterHash } from '../router';
import type { IconName } from './icons';

/** A page as the menu names it. */
export interface PageLink {
  href: string;
  text: string;
  icon: IconName;
}

/**
 * The pages of a person, by the hats worn. Only which links are shown is decided here: what may be
 * seen on a page is the server's word.
 */
export function pages(person: Me): PageLink[] {
  const hats = new Set(person.roles.map(({ role }) => role));
  const scans = hats.has('doctor') || hats.has('clerk');
  const desk = person.roles.some(
    ({ role, organisation_kind }) =>
      organisation_kind === 'school' && (role === 'administrator' || role === 'clerk'),
  );
  const links: (PageLink | false)[] = [
    { href: dayHash(), text: t('common.page_day'), icon: 'calendar' },
    { href: laterHash('notices'), text: t('common.page_notices'), icon: 'bell' },
    { href: laterHash('family'), text: t('common.page_family'), icon: 'people' },
    { href: laterHash('share'), text: t('common.page_share'), icon: 'qr' },
    scans && { href: laterHash('scan'), text: t('common.page_scan'), icon: 'camera' },
    hats.has('doctor') && {
      href: laterHash('records'),
      text: t('common.page_records'),
      icon: 'heart',
    },
    desk && { href: laterHash('received'), text: t('common.page_received'), icon: 'desk' },
    ...person.roles
      .filter(({ role }) => role === 'administrator')
      .map(({ organisation_id, organisation_name }): PageLink => ({
        href: laterHash('admin', organisation_id ?? ''),
        text: t('common.page_admin', { name: organisation_name ?? '' }),
        icon: 'desk',
      })),
    { href: laterHash('consents'), text: t('common.page_consents'), icon: 'note' },
    { href: laterHash('documents'), text: t('common.page_documents'), icon: 'check' },
    { href: laterHash('devices'), text: t('common.page_devices'), icon: 'device' },
    { href: laterHash('imports'), text: t('common.page_imports'), icon: 'heart' },
    { href: laterHash('looked'), text: t('common.page_looked'), icon: 'eye' },
    { href: laterHash('security'), text: t('common.page_security'), icon: 'lock' },
  ];
  return links.filter((link) => link !== false);
}
