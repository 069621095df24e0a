/** The lanes under the trace: spans of time in the place where the trace shows them. */

import type { Quality, Vitals } from '../wire';

/** What is shown of a stream now, in unix microseconds and CSS px from the paper's left edge. */
export interface View {
  fromUs: number;
  untilUs: number;
  /** Time at the left edge of a strip that stands still; null for the sweep, which wraps. */
  leftUs: number | null;
  /** The stream's first sample: the sweep counts from it. */
  originUs: number;
  acrossUs: number;
  width: number;
}

export interface Piece {
  x: number;
  width: number;
}

export interface QualitySpan {
  first_us: number;
  last_us: number;
  quality: Quality;
  reason: string | null;
}

/** A finding, by its code; one of a server newer than this page is shown by no word. */
export interface RhythmSpan {
  first_us: number;
  last_us: number;
  code: string;
}

export interface Lanes {
  quality: readonly QualitySpan[];
  rhythm: readonly RhythmSpan[];
}

const SECOND_US = 1_000_000;
/** What is told about once a second holds since it was last told; after a longer silence it does not. */
const HOLDS_US = 2_500_000;
/** Ten minutes, told anew each second at worst: what is older is analysed when it is leafed to. */
const KEPT = 600;

/** Where a moment stands; null when it is not in view. */
export function placeOf(view: View, us: number): number | null {
  if (us < view.fromUs || us > view.untilUs) return null;
  const perUs = view.width / view.acrossUs;
  if (view.leftUs !== null) return (us - view.leftUs) * perUs;
  return ((us - view.originUs) * perUs) % view.width;
}

/** Where a span stands, a moment without a width: nothing out of view, two pieces where the sweep begins again at the left. */
export function place(view: View, firstUs: number, lastUs: number): Piece[] {
  const first = Math.max(firstUs, view.fromUs);
  const last = Math.min(lastUs, view.untilUs);
  const there = last > first || (last === first && lastUs === firstUs);
  const x = there ? placeOf(view, first) : null;
  if (x === null) return [];
  const length = ((last - first) * view.width) / view.acrossUs;
  if (view.leftUs !== null || x + length <= view.width) return [{ x, width: length }];
  return [
    { x, width: view.width - x },
    { x: 0, width: x + length - view.width },
  ];
}

/** Seconds of equal quality and reason that follow one another, as one span. */
export function runs(
  seconds: readonly { at_us: number; quality: Quality; reason: string | null }[],
): QualitySpan[] {
  const spans: QualitySpan[] = [];
  for (const { at_us, quality, reason } of seconds) {
    const before = spans.at(-1);
    if (before?.last_us === at_us && before.quality === quality && before.reason === reason) {
      before.last_us = at_us + SECOND_US;
    } else {
      spans.push({ first_us: at_us, last_us: at_us + SECOND_US, quality, reason });
    }
  }
  return spans;
}

/** What holds at a moment: the newest span that covers it, or has just ended when none does yet. */
export function at<Span extends { first_us: number; last_us: number }>(
  spans: readonly Span[],
  us: number,
): Span | null {
  const found = spans.findLast(({ first_us }) => first_us <= us);
  return found !== undefined && us - found.last_us <= HOLDS_US ? found : null;
}

/** What was said of a live stream, second by second. */
export class SignalLog {
  #quality: QualitySpan[] = [];
  #rhythm: RhythmSpan[] = [];
  #lastUs = 0;

  get lanes(): Lanes {
    return { quality: this.#quality, rhythm: this.#rhythm };
  }

  /** The signal as told for the moment `atUs`; what is told late or twice changes nothing. */
  said({ quality, reason, rhythm = null }: Vitals, atUs: number): void {
    if (!(atUs > this.#lastUs)) return;
    const first_us = atUs - this.#lastUs <= HOLDS_US ? this.#lastUs : atUs - SECOND_US;
    this.#lastUs = atUs;
    if (quality !== 'no_signal') {
      this.#quality = joined(
        this.#quality,
        { first_us, last_us: atUs, quality, reason },
        (a, b) => a.quality === b.quality && a.reason === b.reason,
      );
    }
    if (rhythm !== null) {
      this.#rhythm = joined(
        this.#rhythm,
        { first_us, last_us: atUs, code: rhythm },
        (a, b) => a.code === b.code,
      );
    }
  }
}

function joined<Span extends RhythmSpan | QualitySpan>(
  spans: readonly Span[],
  next: Span,
  alike: (a: Span, b: Span) => boolean,
): Span[] {
  const last = spans.at(-1);
  if (last?.last_us === next.first_us && alike(last, next)) {
    return [...spans.slice(0, -1), { ...last, last_us: next.last_us }];
  }
  return [...spans.slice(-KEPT + 1), next];
}
