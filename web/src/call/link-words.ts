/** The four words of a link: how they look, and the worse of two. */

import type { IconName } from '../ui/icons';
import type { LinkWord } from './quality';

export type Judged = Exclude<LinkWord, 'none'>;
/** What links are worth, by person, as the server told. */
export type Words = Readonly<Record<string, Judged>>;

interface Look {
  tone: 'good' | 'attention' | 'danger';
  icon: IconName;
}

export const LINK_LOOK: Record<Judged, Look> = {
  good: { tone: 'good', icon: 'check' },
  fair: { tone: 'attention', icon: 'info' },
  poor: { tone: 'attention', icon: 'warning' },
  lost: { tone: 'danger', icon: 'away' },
};

/**
 * One's own word: what the server says, but for what only this page knows: that nothing comes, or
 * that nothing has been connected yet.
 */
export function ownWord(here: readonly LinkWord[], told: Judged | undefined): LinkWord {
  if (here.includes('lost')) return 'lost';
  return here.includes('good') ? (told ?? 'good') : 'none';
}
