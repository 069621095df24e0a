/**
 * What getStats counts. How good a link is the server says, by one rule for everybody; here is only
 * whether anything comes at all, and what the server cannot know: what was seen and heard.
 */

export type LinkWord = 'none' | 'good' | 'fair' | 'poor' | 'lost';

/** One look at a transport; counters only grow. */
export interface LinkSample {
  atMs: number;
  connected: boolean;
  /** Something should be arriving now. */
  expected: boolean;
  received: number;
  framesDecoded: number;
}

const LOST_SILENCE_MS = 3_000;
/** Two looks without anything. */
const PULSE_MS = 900;
const FROZEN_MS = 2_000;

/** Growth of a counter that starts again at 0 with a new connection. */
function grown(before: number | undefined, now: number): number {
  return before === undefined || now < before ? now : now - before;
}

/** Judges sample after sample: `good` while what is expected comes, `lost` when it does not. */
export class LinkJudge {
  #last: LinkSample | null = null;
  #packetAt = 0;
  #frameAt = 0;
  #word: LinkWord = 'none';
  #frozen = false;

  get word(): LinkWord {
    return this.#word;
  }

  /** Pictures are coming, whatever else is said of them. */
  get moving(): boolean {
    const at = this.#last?.atMs ?? 0;
    return this.#frameAt > 0 && at - this.#frameAt < FROZEN_MS;
  }

  /** Pictures came before and have stopped. */
  get frozen(): boolean {
    return this.#frozen;
  }

  add(sample: LinkSample, videoExpected: boolean): LinkWord {
    const last = this.#last;
    this.#last = sample;
    const received = grown(last?.received, sample.received);
    if (received > 0 || !sample.expected) this.#packetAt = sample.atMs;
    if (this.#packetAt === 0) this.#packetAt = sample.atMs;
    if (grown(last?.framesDecoded, sample.framesDecoded) > 0) this.#frameAt = sample.atMs;
    this.#frozen = videoExpected && this.#frameAt > 0 && sample.atMs - this.#frameAt >= FROZEN_MS;

    if (!sample.connected) {
      this.#word = last === null ? 'none' : 'lost';
      return this.#word;
    }
    if (sample.expected && sample.atMs - this.#packetAt >= LOST_SILENCE_MS) {
      this.#word = 'lost';
      return this.#word;
    }
    this.#word = 'good';
    return this.#word;
  }
}

/** Tells once when nothing comes any more, in no direction, of what should. */
export class Pulse {
  #heard = 0;
  #heardAt = 0;
  #told = false;

  add(atMs: number, heard: number, due: boolean): boolean {
    if (heard !== this.#heard || !due) {
      this.#heard = heard;
      this.#heardAt = atMs;
      this.#told = false;
    }
    if (this.#told || heard === 0 || atMs - this.#heardAt < PULSE_MS) return false;
    this.#told = true;
    return true;
  }
}

interface StatsLike {
  type: string;
  bytesReceived?: number;
  kind?: string;
  packetsReceived?: number;
  totalFreezesDuration?: number;
  freezeCount?: number;
  concealedSamples?: number;
  silentConcealedSamples?: number;
  totalSamplesReceived?: number;
  framesDecoded?: number;
  framesEncoded?: number;
  packetsSent?: number;
}

export interface Counted {
  /** Bytes of whatever came by any way: media, or answers to ours. */
  heard: number;
  received: number;
  sent: number;
  framesDecoded: number;
  framesEncoded: number;
  frozenMs: number;
  freezes: number;
  /** Samples of sound, and how many of them were made up to fill a gap. */
  samples: number;
  concealed: number;
}

/** Sums of a getStats report. */
export function countStats(report: Iterable<StatsLike>): Counted {
  const sum: Counted = {
    heard: 0,
    received: 0,
    sent: 0,
    framesDecoded: 0,
    framesEncoded: 0,
    frozenMs: 0,
    freezes: 0,
    samples: 0,
    concealed: 0,
  };
  for (const row of report) {
    if (row.type === 'inbound-rtp') {
      sum.received += row.packetsReceived ?? 0;
      sum.frozenMs += 1_000 * (row.totalFreezesDuration ?? 0);
      sum.freezes += row.freezeCount ?? 0;
      sum.samples += row.totalSamplesReceived ?? 0;
      // Silence that was filled with silence nobody has missed.
      sum.concealed += (row.concealedSamples ?? 0) - (row.silentConcealedSamples ?? 0);
      sum.framesDecoded += row.framesDecoded ?? 0;
    } else if (row.type === 'outbound-rtp') {
      sum.sent += row.packetsSent ?? 0;
      sum.framesEncoded += row.framesEncoded ?? 0;
    } else if (row.type === 'candidate-pair') {
      sum.heard += row.bytesReceived ?? 0;
    }
  }
  return sum;
}

/** What the page tells the server of some seconds. */
export interface MediaReport {
  type: 'media_report';
  ms: number;
  frozen_ms: number;
  freezes: number;
  concealed_permille: number | null;
}

const TELL_EVERY_MS = 10_000;
const LONGEST_MS = 60_000;

/** Sums fall when a section goes: it takes its part of them along. */
function fell(before: Counted, now: Counted): boolean {
  return (Object.keys(now) as (keyof Counted)[]).some((name) => now[name] < before[name]);
}

/** Says every ten seconds what was seen and heard in them. */
export class Teller {
  #from: { atMs: number; counted: Counted } | null = null;
  #last: Counted | null = null;

  /** The report that is due, if one is; null: nothing arrives now. */
  add(atMs: number, counted: Counted | null): MediaReport | null {
    const from = this.#from;
    const last = this.#last;
    this.#last = counted;
    const whole = counted !== null && last !== null && !fell(last, counted);
    if (!whole || from === null || atMs - from.atMs > LONGEST_MS) {
      this.#from = counted === null ? null : { atMs, counted };
      return null;
    }
    const ms = atMs - from.atMs;
    if (ms < TELL_EVERY_MS) return null;
    this.#from = { atMs, counted };
    const since = (name: keyof Counted): number => counted[name] - from.counted[name];
    const samples = since('samples');
    const concealed = Math.min(samples, Math.max(0, since('concealed')));
    return {
      type: 'media_report',
      ms: Math.round(ms),
      frozen_ms: Math.min(Math.round(ms), Math.round(since('frozenMs'))),
      freezes: Math.min(1_000, since('freezes')),
      concealed_permille: samples === 0 ? null : Math.round((1_000 * concealed) / samples),
    };
  }
}
