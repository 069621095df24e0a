import { laterHash, lessonHash, visitHash } from '../router';

/** Where a notice leads, by the beginning of its code; `id` is what it is about. */
const LINKS: readonly [prefix: string, hash: (id: string) => string][] = [
  ['visit_', visitHash],
  ['lesson_', lessonHash],
  ['recording_stalled_here', (id) => laterHash('admin', id, 'board')],
  ['recording_', lessonHash],
  ['break_glass', () => laterHash('looked')],
  ['share_', () => laterHash('consents')],
  ['consent_', () => laterHash('consents')],
  ['guardian_', () => laterHash('family')],
  ['recovery_wanted', (id) => laterHash('admin', id, 'cards')],
  ['school_document_', (id) => laterHash('received', id)],
  ['document_received', () => laterHash('received')],
  ['document_signed', (id) => laterHash('documents', id)],
  ['document_superseded', (id) => laterHash('documents', id)],
  ['document_revoked', (id) => laterHash('documents', id)],
  ['document_refused', (id) => laterHash('documents', id)],
  ['erasure_', (id) => laterHash('admin', id, 'erasures')],
  ['child_', (id) => laterHash('children', id)],
];

/** The page a notice is about, or null when there is nothing more to see. */
export function linkOf(code: string, aboutId: string | null): string | null {
  const found = LINKS.find(([prefix]) => code.startsWith(prefix));
  if (found === undefined || aboutId === null) return null;
  return found[1](aboutId);
}
