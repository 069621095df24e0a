/** A step of the ladder as a sentence, and where it is read. */

import '../i18n/ladder';
import type { Key } from '../i18n/t';
import type { MediaStep } from './ladder.svelte';

/** What goes on beside the picture differs: slides and chat, the chat alone, or readings and ECG. */
export type Place = 'lesson' | 'group' | 'visit';

export function stepKey({ step, reason }: MediaStep, place: Place): Key | null {
  if (step === 'high') return null;
  if (step === 'low') return `ladder.low_${reason}`;
  return step === 'slow' ? 'ladder.slow' : `ladder.${step}_${place}`;
}
