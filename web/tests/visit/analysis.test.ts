import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Problem, serverAway } from '../../src/api/problem';
import { Analyses, type Analysis } from '../../src/visit/ecg/analysis.svelte';
import type { View } from '../../src/visit/ecg/lanes';

const S = 1_000_000;
const view = (fromS: number, untilS: number): View => ({
  fromUs: fromS * S,
  untilUs: untilS * S,
  leftUs: fromS * S,
  originUs: 0,
  acrossUs: (untilS - fromS) * S,
  width: 1_000,
});
const found: Analysis = {
  beats: [95 * S, 101 * S, 102 * S, 120 * S],
  seconds: [{ at_us: 100 * S, quality: 'good', reason: null }],
  findings: [{ code: 'pause', first_us: 101 * S, last_us: 104 * S, inputs: {}, rule: 'r' }],
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('asks once for a view that stands, with what lies around it', async () => {
  let answer: (found: Analysis) => void = () => {};
  const fetch = vi.fn(() => new Promise<Analysis>((done) => (answer = done)));
  const analyses = new Analyses(fetch);
  // The panel looks twice a second, also while the answer is on its way.
  for (let i = 0; i < 6; i += 1) {
    void analyses.want('s', view(100, 110));
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(fetch).toHaveBeenCalledTimes(1);
  expect(fetch).toHaveBeenCalledWith('s', 55 * S, 155 * S, expect.any(AbortSignal));
  expect(analyses.busy).toBe(true);
  answer(found);
  await vi.advanceTimersByTimeAsync(0);
  expect(analyses.busy).toBe(false);
  expect(analyses.kept?.beats).toEqual([101 * S, 102 * S]);
  expect(analyses.kept?.lanes).toEqual({
    quality: [{ first_us: 100 * S, last_us: 101 * S, quality: 'good', reason: null }],
    rhythm: [{ code: 'pause', first_us: 101 * S, last_us: 104 * S }],
  });
  await analyses.want('s', view(101, 109));
  expect(fetch).toHaveBeenCalledTimes(1);
});

it('leafing on leaves what was asked, and going on forgets it', async () => {
  const fetch = vi.fn((...asked: Parameters<ConstructorParameters<typeof Analyses>[0]>) => {
    void asked;
    return Promise.resolve(found);
  });
  const analyses = new Analyses(fetch);
  void analyses.want('s', view(100, 110));
  await vi.advanceTimersByTimeAsync(100);
  void analyses.want('s', view(90, 100));
  await vi.advanceTimersByTimeAsync(300);
  expect(fetch.mock.calls.map(([, fromUs]) => fromUs)).toEqual([45 * S]);
  analyses.forget();
  expect(analyses.kept).toBeNull();
});

it('says when it was not had, and asks again after a while', async () => {
  const fetch = vi.fn(() => Promise.reject(serverAway()));
  const analyses = new Analyses(fetch);
  for (let i = 0; i < 8; i += 1) {
    void analyses.want('s', view(100, 110));
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(analyses.problem?.code).toBe('server_away');
  expect(fetch).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(2_000);
  void analyses.want('s', view(100, 110));
  await vi.advanceTimersByTimeAsync(300);
  expect(fetch).toHaveBeenCalledTimes(2);
});

it('what is refused is not asked for again, until another view is', async () => {
  const fetch = vi.fn(() => Promise.reject(new Problem(422, { code: 'bad_ecg_span' }, null)));
  const analyses = new Analyses(fetch);
  for (let i = 0; i < 20; i += 1) {
    void analyses.want('s', view(100, 110));
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(analyses.problem?.code).toBe('bad_ecg_span');
  expect(fetch).toHaveBeenCalledTimes(1);
  void analyses.want('s', view(90, 100));
  await vi.advanceTimersByTimeAsync(300);
  expect(fetch).toHaveBeenCalledTimes(2);
});
