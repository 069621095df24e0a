import { render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
import { spoken } from '../../src/ui/announce.svelte';
// It brings the words of the lanes.
import '../../src/visit/ecg/tools';
import EcgLanes from '../../src/visit/ecg/EcgLanes.svelte';
import type { RhythmSpan } from '../../src/visit/ecg/lanes';

const S = 1_000_000;

const times = { fromUs: 0, untilUs: 10 * S, leftUs: 0, originUs: 0 };
const view = { ...times, acrossUs: 10 * S, width: 500 };
const span = (code: string, firstS = 0, lastS = 9): RhythmSpan => ({
  code,
  first_us: firstS * S,
  last_us: lastS * S,
});
const given = (whole: boolean, rhythm: RhythmSpan[]) => ({
  ...{ view, whole, momentMs: 5_000, busy: false, away: false },
  lanes: { quality: [], rhythm },
});

function rhythm(...codes: string[]): string {
  setLanguage('en');
  render(
    EcgLanes,
    given(
      true,
      codes.map((code) => span(code)),
    ),
  );
  return screen.getByTestId('ecg-rhythm').textContent.trim();
}

it('says that nothing was assessed where nothing was said, not that the signal is poor', () => {
  expect(rhythm()).toBe('no assessment');
});

it('says that there is too little signal only where the server said so', () => {
  expect(rhythm('not_enough')).toBe('not enough clean signal yet');
});

it('names one early beat by its moment, without a length', () => {
  setLanguage('en');
  render(EcgLanes, given(true, [span('supraventricular_ectopy', 4, 4)]));
  const said = screen.getByTestId('ecg-rhythm').textContent;
  expect(said).toMatch(/supraventricular ectopic beats, \d\d:\d\d:04\s/);
});

it('tells who listens of a finding in the running trace, once', async () => {
  setLanguage('en');
  const { rerender } = render(EcgLanes, given(false, [span('regular')]));
  const before = spoken();
  await rerender(given(false, [span('regular'), span('af_suspected', 5, 6)]));
  const told = 'Rhythm: suspected atrial fibrillation. A suspicion, not a diagnosis.';
  expect(spoken()).toBe(told);
  expect(before).not.toBe(told);
  // The same words again would be spoken with a space behind them.
  await rerender(given(false, [span('regular'), span('af_suspected', 5, 7)]));
  await rerender(given(true, [span('pause', 5, 7)]));
  await rerender(given(false, [span('regular'), span('af_suspected', 5, 8)]));
  expect(spoken()).toBe(told);
});
