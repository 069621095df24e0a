/** What happened to a link in some time, in short sentences: only what can have been the trouble. */

import type { components } from '../api/schema';
import { formatNumber } from '../i18n/numbers';
import { t } from '../i18n/t';

type Stretch = components['schemas']['Stretch'];

const LOSS_PERMILLE = 20;
const SOUND_PERMILLE = 20;
const DELAY_MS = 150;
const JITTER_MS = 30;
const FROZEN_MS = 1_000;

export function reasons(one: Stretch): string[] {
  const found: string[] = [];
  const add = (value: number | null, least: number, say: (shown: string) => string, by = 1) => {
    if (value !== null && value >= least) found.push(say(formatNumber(Math.round(value / by))));
  };
  add(one.lost_permille, LOSS_PERMILLE, (value) => t('link.by_loss', { value }), 10);
  add(one.concealed_permille, SOUND_PERMILLE, (value) => t('link.by_sound', { value }), 10);
  add(one.rtt_ms, DELAY_MS, (value) => t('link.by_delay', { value }));
  add(one.jitter_ms, JITTER_MS, (value) => t('link.by_jitter', { value }));
  add(one.frozen_ms, FROZEN_MS, (value) => t('link.by_frozen', { value }), 1_000);
  switch (one.step) {
    case 'low':
    case 'slow':
    case 'text':
      found.push(t(`link.by_${one.step}`));
      break;
    case 'voice':
    case 'paused':
      found.push(t('link.by_voice'));
      break;
  }
  return found;
}
