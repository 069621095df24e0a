import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
// The panel asks for it when there is a trace: here it need not be waited for.
import '../../src/visit/ecg/tools';
import EcgPanel from '../../src/visit/EcgPanel.svelte';
import { EcgStreams } from '../../src/visit/ecg/streams.svelte';
import type { EcgStreamInfo } from '../../src/visit/wire';

const { made, shows } = vi.hoisted(() => ({ made: [] as object[], shows: [] as unknown[] }));

// jsdom has no canvas: what matters here is when the trace is begun anew.
vi.mock('../../src/visit/ecg/sweep', () => ({
  Sweep: class {
    delays = { p95: null, count: 0 };
    frozenAtMs: number | null = null;
    constructor() {
      made.push(this);
    }
    show(source: { stream: string } | null): void {
      shows.push(source?.stream);
      this.frozenAtMs = null;
    }
    freeze(on: boolean): void {
      this.frozenAtMs = on ? 1 : null;
    }
    resize(): void {}
    ink(): void {}
    rule(): void {}
    added(): void {}
    view = null;
    frame(): void {}
    forgetWaiting(): void {}
  },
}));

const info = (stream: string, minute: number): EcgStreamInfo => ({
  stream,
  device: { id: 'd', name: 'Recorder' },
  lead: 'MLII',
  rate_hz: 360,
  gain_per_mv: 200,
  baseline: 1024,
  started_at: new Date(Date.UTC(2026, 2, 1, 10, minute)).toISOString(),
  last_sequence: -1,
  frames: 0,
});

beforeEach(() => {
  setLanguage('en');
  vi.stubGlobal('matchMedia', () => ({
    matches: false,
    addEventListener: () => {},
    removeEventListener: () => {},
  }));
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe(): void {}
      disconnect(): void {}
    },
  );
});
afterEach(() => vi.unstubAllGlobals());

it('a frozen strip stays when streams are told of again and when a newer one begins', async () => {
  const ecg = new EcgStreams(() => Promise.resolve([]));
  await ecg.know([info('a', 0)]);
  render(EcgPanel, { visitId: 'v', ecg, doctor: true, past: false, clockAheadMs: 0 });
  await userEvent.click(await screen.findByRole('button', { name: 'Freeze the trace' }));
  expect(await screen.findByRole('button', { name: 'Go on showing' })).toHaveFocus();
  await ecg.know([info('a', 0)]);
  await ecg.know([info('b', 5)]);
  await vi.waitFor(() => expect(ecg.infos).toHaveLength(2));
  const goOn = await screen.findByRole('button', { name: 'Go on showing' });
  expect(made).toHaveLength(1);
  expect(shows).toEqual(['a']);
  await userEvent.click(goOn);
  expect(await screen.findByRole('button', { name: 'Freeze the trace' })).toBeInTheDocument();
  expect(shows).toEqual(['a', 'b']);
  expect(made).toHaveLength(1);
});
