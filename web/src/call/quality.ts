/** The link in one word, from what getStats counts. */

export type LinkWord = 'none' | 'good' | 'weak' | 'lost';

/** One look at a transport; counters only grow. */
export interface LinkSample {
  atMs: number;
  connected: boolean;
  /** Something should be arriving now. */
  expected: boolean;
  received: number;
  lost: number;
  rttMs: number | null;
  framesDecoded: number;
}

const WEAK_LOSS = 0.03;
const WEAK_RTT_MS = 350;
const LOST_SILENCE_MS = 3_000;
const FROZEN_MS = 2_000;

/** Growth of a counter that starts again at 0 with a new connection. */
function grown(before: number | undefined, now: number): number {
  return before === undefined || now < before ? now : now - before;
}

/** Judges sample after sample; one bad second is not yet a weak link. */
export class LinkJudge {
  #last: LinkSample | null = null;
  #packetAt = 0;
  #frameAt = 0;
  #weak: boolean[] = [];
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
    const lost = grown(last?.lost, sample.lost);
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
    const share = received + lost === 0 ? 0 : lost / (received + lost);
    const slow = sample.rttMs !== null && sample.rttMs >= WEAK_RTT_MS;
    this.#weak = [...this.#weak, share >= WEAK_LOSS || slow].slice(-4);
    this.#word = this.#weak.filter(Boolean).length >= 2 ? 'weak' : 'good';
    return this.#word;
  }
}

interface StatsLike {
  type: string;
  kind?: string;
  packetsReceived?: number;
  packetsLost?: number;
  framesDecoded?: number;
  framesEncoded?: number;
  packetsSent?: number;
  currentRoundTripTime?: number;
  nominated?: boolean;
  state?: string;
}

export interface Counted {
  received: number;
  lost: number;
  sent: number;
  rttMs: number | null;
  framesDecoded: number;
  framesEncoded: number;
}

/** Sums of a getStats report. */
export function countStats(report: Iterable<StatsLike>): Counted {
  const sum: Counted = {
    received: 0,
    lost: 0,
    sent: 0,
    rttMs: null,
    framesDecoded: 0,
    framesEncoded: 0,
  };
  for (const row of report) {
    if (row.type === 'inbound-rtp') {
      sum.received += row.packetsReceived ?? 0;
      sum.lost += Math.max(0, row.packetsLost ?? 0);
      sum.framesDecoded += row.framesDecoded ?? 0;
    } else if (row.type === 'outbound-rtp') {
      sum.sent += row.packetsSent ?? 0;
      sum.framesEncoded += row.framesEncoded ?? 0;
    } else if (row.type === 'remote-inbound-rtp') {
      sum.lost += Math.max(0, row.packetsLost ?? 0);
    } else if (row.type === 'candidate-pair' && row.nominated === true) {
      if (row.currentRoundTripTime !== undefined) sum.rttMs = row.currentRoundTripTime * 1_000;
    }
  }
  return sum;
}
