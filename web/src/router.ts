import { parseIsoDate } from './i18n/dates';

/** The pages. Addresses are hashes, so that the server needs to know one page only. */
export type Route =
  | { page: 'sign-in'; next: string }
  | { page: 'day'; date: string | null }
  | { page: 'visit'; id: string }
  | { page: 'lesson'; id: string }
  | { page: 'watch'; id: string }
  | { page: LaterPage; id: string; section: string }
  | { page: 'not-found' };

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Pages that come when they are first entered, and what their address names. */
const LATER = {
  family: 'maybe code',
  children: 'id',
  security: 'nothing',
  enter: 'code',
  consents: 'nothing',
  share: 'nothing',
  scan: 'maybe code',
  devices: 'nothing',
  imports: 'nothing',
  looked: 'nothing',
  notices: 'nothing',
  records: 'maybe id',
  documents: 'maybe id',
  'visit-documents': 'id',
  received: 'maybe id',
  verify: 'maybe line',
  admin: 'id and section',
} as const;
export type LaterPage = keyof typeof LATER;

const isLater = (first: string): first is LaterPage => Object.hasOwn(LATER, first);
/** A secret or a word in an address: never a path of its own. */
const CODE = /^[\w-]{1,200}$/;
/** What the QR code of a document holds, damaged or not: the server judges it. */
const LINE = /^.{1,2000}$/;

function laterPage(page: LaterPage, second?: string, third?: string): Route {
  const shape = LATER[page];
  const given = second !== undefined && CODE.test(second);
  const isId = second !== undefined && ID.test(second);
  const right = {
    nothing: second === undefined,
    id: isId && third === undefined,
    'maybe id': (isId || second === undefined) && third === undefined,
    code: given && third === undefined,
    'maybe code': (given || second === undefined) && third === undefined,
    'maybe line': (second === undefined || LINE.test(second)) && third === undefined,
    'id and section': isId && (third === undefined || CODE.test(third)),
  }[shape];
  if (!right) return { page: 'not-found' };
  return { page, id: second ?? '', section: third ?? '' };
}

/** What a hash such as `#/visits/…` points to. */
export function parseHash(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const [, first = '', second, third, ...rest] = path.split('/');
  if (rest.length > 0) return { page: 'not-found' };
  if (isLater(first)) return laterPage(first, second, third);
  if (third !== undefined) {
    const watched = first === 'lessons' && second && ID.test(second) && third === 'watch';
    return watched ? { page: 'watch', id: second } : { page: 'not-found' };
  }
  if (first === '' && second === undefined) return { page: 'day', date: null };
  if (first === 'day') {
    if (second === undefined) return { page: 'day', date: null };
    return parseIsoDate(second) ? { page: 'day', date: second } : { page: 'not-found' };
  }
  if (first === 'sign-in' && second === undefined) {
    return { page: 'sign-in', next: safeNext(new URLSearchParams(query).get('next')) };
  }
  if (first === 'visits' && second && ID.test(second)) return { page: 'visit', id: second };
  if (first === 'lessons' && second && ID.test(second)) return { page: 'lesson', id: second };
  return { page: 'not-found' };
}

/** Where to go after sign-in. Only our own pages: a link must not lead a person elsewhere. */
function safeNext(next: string | null): string {
  return next?.startsWith('#/') && !next.startsWith('#/sign-in') ? next : '#/day';
}

export const dayHash = (date: string | null = null): string => (date ? `#/day/${date}` : '#/day');
export const visitHash = (id: string): string => `#/visits/${id}`;
export const lessonHash = (id: string): string => `#/lessons/${id}`;
export const lessonWatchHash = (id: string): string => `#/lessons/${id}/watch`;
/** The address of a page that comes later: `laterHash('children', id)`. */
export const laterHash = (page: LaterPage, ...names: string[]): string =>
  `#/${[page, ...names].join('/')}`;
export const signInHash = (next: string): string =>
  next === '' || parseHash(next).page === 'sign-in'
    ? '#/sign-in'
    : `#/sign-in?next=${encodeURIComponent(next)}`;

/** Two hashes are the same page when only what it shows changes (another day). */
export function samePage(left: Route, right: Route): boolean {
  if (left.page !== right.page) return false;
  if ('section' in left && 'section' in right && left.section !== right.section) return false;
  return !('id' in left && 'id' in right) || left.id === right.id;
}
