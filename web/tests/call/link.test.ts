import { cleanup, render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { flushSync } from 'svelte';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import LinkLine from '../../src/call/LinkLine.svelte';
import Why from '../../src/call/Why.svelte';
import { ownWord, type Judged } from '../../src/call/link-words';
import { Pulse, Teller, countStats, type Counted } from '../../src/call/quality';
import { reasons } from '../../src/call/reasons';
import { t } from '../../src/i18n/t';
import { announce, spoken } from '../../src/ui/announce.svelte';
import { network, problem } from '../network';

beforeAll(() => {
  if (!('showModal' in HTMLDialogElement.prototype)) {
    Object.defineProperty(HTMLDialogElement.prototype, 'showModal', {
      value(this: HTMLDialogElement) {
        this.open = true;
      },
    });
  }
});

const sound = { totalSamplesReceived: 480_000, concealedSamples: 9_600 };
const counted = (more: Partial<Counted> = {}): Counted => ({ ...countStats([]), ...more });

const BAD = {
  direction: 'subscribe',
  word: 'poor',
  since: '2026-11-23T05:00:00Z',
  until: '2026-11-23T05:02:00Z',
  kbps: 90,
  lost_permille: 123,
  rtt_ms: 240,
  jitter_ms: 5,
  concealed_permille: null,
  frozen_ms: 12_400,
  step: 'voice',
} as const;
const GOOD = { ...BAD, word: 'good', since: BAD.until, until: '2026-11-23T05:30:00Z' } as const;

describe('what only the page knows', () => {
  it('is read from a getStats report, without silence that was filled with silence', () => {
    const found = countStats([
      { type: 'inbound-rtp', packetsReceived: 10, ...sound, silentConcealedSamples: 4_800 },
      { type: 'inbound-rtp', packetsReceived: 7, framesDecoded: 5, totalFreezesDuration: 1.5 },
      { type: 'outbound-rtp', packetsSent: 3, framesEncoded: 2 },
      { type: 'candidate-pair', bytesReceived: 900 },
      { type: 'codec' },
    ]);
    expect(found.heard).toBe(900);
    expect(found).toMatchObject({ received: 17, sent: 3, framesDecoded: 5, framesEncoded: 2 });
    expect(found).toMatchObject({ frozenMs: 1_500, samples: 480_000, concealed: 4_800 });
  });

  it('is silence when nothing comes any more in any direction of what should: said once', () => {
    const pulse = new Pulse();
    const said = (heards: number[], due = true, from = 0): number =>
      heards.filter((heard, n) => pulse.add(from + 500 * n, heard, due)).length;
    expect(said([0, 0, 0, 0, 0])).toBe(0); // a browser that does not count, or nothing yet
    expect(said([100, 100, 120, 140, 140], true, 5_000)).toBe(0);
    expect(said([140, 140, 140, 140], true, 7_500)).toBe(1);
    expect(said([160, 160, 160], true, 10_000)).toBe(1);
    expect(said([160, 160, 160, 160], false, 20_000)).toBe(0);
  });

  it('is told every ten seconds, as what has happened in them', () => {
    const teller = new Teller();
    expect(teller.add(0, counted({ frozenMs: 700, samples: 1_000, concealed: 500 }))).toBeNull();
    expect(
      teller.add(9_000, counted({ frozenMs: 900, samples: 400_000, concealed: 20_000 })),
    ).toBeNull();
    const then = counted({ frozenMs: 2_700, freezes: 2, samples: 481_000, concealed: 24_500 });
    expect(teller.add(10_000, then)).toEqual({
      type: 'media_report',
      ms: 10_000,
      frozen_ms: 2_000,
      freezes: 2,
      concealed_permille: 50,
    });
    expect(teller.add(11_000, then)).toBeNull();
  });

  it('never says more than there was time, begins anew after a break, and knows no sound', () => {
    const teller = new Teller();
    teller.add(0, counted());
    expect(teller.add(1_000, null)).toBeNull();
    expect(teller.add(20_000, counted())).toBeNull();
    const report = teller.add(30_000, counted({ frozenMs: 90_000, freezes: 5_000 }));
    expect(report).toMatchObject({ ms: 10_000, frozen_ms: 10_000, freezes: 1_000 });
    expect(report?.concealed_permille).toBeNull();
    expect(teller.add(100_000, counted())).toBeNull();
  });

  it("takes no sum of somebody's whole time for these seconds when a section is gone", () => {
    const teller = new Teller();
    teller.add(0, counted({ frozenMs: 9_000, samples: 900_000 }));
    expect(teller.add(9_000, counted({ frozenMs: 5_000, samples: 480_000 }))).toBeNull();
    expect(teller.add(10_000, counted({ frozenMs: 5_000, samples: 480_000 }))).toBeNull();
    const report = teller.add(19_000, counted({ frozenMs: 5_100, samples: 528_000 }));
    expect(report).toMatchObject({ ms: 10_000, frozen_ms: 100, concealed_permille: 0 });
  });
});

describe("one's own word", () => {
  it.each([
    [['good', 'good'], 'poor', 'poor'],
    [['good', 'none'], undefined, 'good'],
    [['good', 'lost'], 'good', 'lost'],
    [['none', 'none'], 'good', 'none'],
  ] as const)('of %s and %s from the server is %s', (here, told, word) => {
    expect(ownWord(here, told)).toBe(word);
  });

  it("is said in words, and a doctor reads the other one's when it is not good", () => {
    const other = { name: 'Ильнур', word: 'fair' } as const;
    const line = render(LinkLine, { word: 'poor', other });
    expect(screen.getByText(t('link.word_poor'))).toBeInTheDocument();
    expect(screen.getByText(t('link.other_fair', { name: 'Ильнур' }))).toBeInTheDocument();
    line.unmount();
    render(LinkLine, { word: 'good', quiet: true });
    expect(screen.queryByText(t('link.word_good'))).toBeNull();
  });

  it('is read out when it has held, and a lost one at once', () => {
    vi.useFakeTimers();
    announce('before');
    const line = render(LinkLine, { word: 'good' });
    const become = (word: Judged, ms: number): void => {
      void line.rerender({ word });
      flushSync();
      vi.advanceTimersByTime(ms);
    };
    for (const word of ['fair', 'good', 'poor', 'good'] as const) become(word, 5_000);
    expect(spoken()).toBe('before');
    become('poor', 6_000);
    expect(spoken()).toBe(t('link.word_poor'));
    become('lost', 1);
    expect(spoken()).toBe(t('link.word_lost'));
    vi.useRealTimers();
  });
});

describe('why it was bad', () => {
  it('names what can have been the trouble, and nothing else', () => {
    expect(reasons(BAD)).toEqual([
      t('link.by_loss', { value: '12' }),
      t('link.by_delay', { value: '240' }),
      t('link.by_frozen', { value: '12' }),
      t('link.by_voice'),
    ]);
    const fine = { lost_permille: 3, rtt_ms: 20, frozen_ms: 0, step: 'h' };
    expect(reasons({ ...GOOD, ...fine })).toEqual([]);
  });

  it('shows each person and the time that was not good', async () => {
    network({
      'GET /api/v1/lessons/1/call-timeline': {
        body: {
          kept_days: 30,
          cut: false,
          members: [
            { id: 'a', side: 'pupil', name: 'Амина', stretches: [BAD, GOOD] },
            { id: null, side: 'teacher', name: null, stretches: [GOOD] },
          ],
        },
      },
    });
    render(Why, { room: 'lessons', id: '1' });
    await userEvent.click(screen.getByRole('button', { name: t('link.why') }));
    expect(await screen.findByRole('heading', { name: 'Амина' })).toBeInTheDocument();
    expect(screen.getByRole('heading', { name: t('link.side_teacher') })).toBeInTheDocument();
    expect(screen.getAllByText(t('link.short_poor'))).toHaveLength(1);
    expect(screen.queryByText(t('link.short_good'))).toBeNull();
    expect(screen.getByText(t('link.why_all_good'))).toBeInTheDocument();
  });

  it('says so when nothing is written, and when the server refuses', async () => {
    const nothing = { kept_days: 30, cut: false, members: [] };
    network({ 'GET /api/v1/visits/2/call-timeline': { body: nothing } });
    render(Why, { room: 'visits', id: '2' });
    await userEvent.click(screen.getByRole('button', { name: t('link.why') }));
    expect(await screen.findByText(t('link.why_none'))).toBeInTheDocument();
    cleanup();
    network({ 'GET /api/v1/visits/3/call-timeline': problem(403, 'forbidden') });
    render(Why, { room: 'visits', id: '3' });
    await userEvent.click(screen.getByRole('button', { name: t('link.why') }));
    expect(await screen.findByText(t('common.problem_forbidden'))).toBeInTheDocument();
  });
});
