import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
import '../../src/i18n/security';
import MyDataCard from '../../src/security/MyDataCard.svelte';
import { network, problem } from '../network';

const saved = vi.hoisted(() => vi.fn<(file: Blob, name: string) => void>());
vi.mock('../../src/admin/download', () => ({ save: saved }));

beforeEach(() => setLanguage('en'));
afterEach(() => {
  saved.mockReset();
  vi.unstubAllGlobals();
});

it('hands the archive to its person, or says why there is none', async () => {
  network({
    'GET /api/v1/me/export': [problem(409, 'export_running'), { body: 'the archive' }],
  });
  const user = userEvent.setup();
  render(MyDataCard);
  const button = screen.getByRole('button', { name: 'Download the archive' });
  await user.click(button);
  expect(await screen.findByRole('alert')).toBeVisible();
  expect(saved).not.toHaveBeenCalled();
  await user.click(button);
  await vi.waitFor(() => expect(saved).toHaveBeenCalledOnce());
  const [archive, name] = saved.mock.lastCall ?? [];
  expect(await archive?.text()).toContain('the archive');
  expect(name).toMatch(/^yanasha-\d{4}-\d{2}-\d{2}\.zip$/);
  expect(screen.queryByRole('alert')).toBeNull();
});
