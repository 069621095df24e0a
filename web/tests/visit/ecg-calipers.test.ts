import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { expect, it } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
// It brings the words of the calipers.
import '../../src/visit/ecg/tools';
import EcgCalipers from '../../src/visit/ecg/EcgCalipers.svelte';

it('lines that were moved stay on their waves when the paper runs faster', async () => {
  setLanguage('en');
  const slow = { ms: 10_000, mv: 2, width: 500, gain: 10 as const, leftMs: 40_000 };
  const { rerender } = render(EcgCalipers, { ...slow, beatsMs: [7_000, 7_800], at: 0 });
  const second = screen.getByRole('slider', { name: 'Calipers: second moment' });
  second.focus();
  await userEvent.keyboard('{ArrowRight}');
  expect(second).toHaveAttribute('aria-valuenow', '7810');
  const words = second.getAttribute('aria-valuetext');
  await rerender({ ...slow, ms: 5_000, leftMs: 45_000, beatsMs: [2_000, 2_800], at: 0 });
  expect(second).toHaveAttribute('aria-valuenow', '2810');
  expect(second).toHaveAttribute('aria-valuetext', words);
  expect(screen.getByTestId('caliper-between')).toHaveAttribute('data-ms', '810');
});
