import { render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
// It brings the words of the lanes.
import '../../src/visit/ecg/tools';
import EcgLanes from '../../src/visit/ecg/EcgLanes.svelte';
import type { RhythmSpan } from '../../src/visit/ecg/lanes';

const S = 1_000_000;

function rhythm(...codes: string[]): string {
  setLanguage('en');
  const spans = codes.map((code): RhythmSpan => ({ code, first_us: 0, last_us: 9 * S }));
  const times = { fromUs: 0, untilUs: 10 * S, leftUs: 0, originUs: 0 };
  const view = { ...times, acrossUs: 10 * S, width: 500 };
  const lanes = { quality: [], rhythm: spans };
  render(EcgLanes, { view, lanes, momentMs: 5_000, whole: true, busy: false, away: false });
  return screen.getByTestId('ecg-rhythm').textContent.trim();
}

it('says that nothing was assessed where nothing was said, not that the signal is poor', () => {
  expect(rhythm()).toBe('no assessment');
});

it('says that there is too little signal only where the server said so', () => {
  expect(rhythm('not_enough')).toBe('not enough clean signal yet');
});
