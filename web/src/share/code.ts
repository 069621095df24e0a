import { laterHash } from '../router';
import type { Purpose } from './rest';

/** A code of a QR, and what it was shown for. */
export interface Scanned {
  purpose: Purpose;
  code: string;
}

const WORDS: Readonly<Record<string, Purpose>> = { share: 'share_profile', assist: 'assist' };
const IN_TEXT = /(?:^|#\/scan\/)(share|assist)_([\w-]{1,100})$/;

/** What the QR holds: an address of ours, so that any phone's camera opens the right page. */
export function addressOf(purpose: Purpose, code: string, origin: string): string {
  const word = purpose === 'assist' ? 'assist' : 'share';
  return `${origin}/${laterHash('scan', `${word}_${code}`)}`;
}

/** The code in an address, in the last part of one, or in what somebody typed; null for others. */
export function readScanned(text: string): Scanned | null {
  const found = IN_TEXT.exec(text.trim());
  const purpose = WORDS[found?.[1] ?? ''];
  return purpose !== undefined && found?.[2] !== undefined ? { purpose, code: found[2] } : null;
}
