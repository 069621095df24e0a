/**
 * When to do something about one transport, as a pure rule over its state and the time:
 * an ICE restart first, a new call when that brings no answer.
 */

export type Cure = 'none' | 'restart' | 'rejoin';

/** Browsers call a path disconnected after ~5 s of silence and often recover at once. */
const GRACE_MS = 1_000;
/** A new offer to a restart, and the path it opens, should be here by then. */
const RESTART_WITHIN_MS = 3_500;
/** From the offer to a connected path, on a slow link. */
const CONNECT_WITHIN_MS = 8_000;
/** Between attempts to make the call anew. */
const REJOIN_EVERY_MS = 5_000;
/** Looks come twice a second: a longer pause is a machine that slept. */
const SLEPT_MS = 6_000;
/** How long after sleep a browser may still call a path connected that the server has given up. */
const DOUBT_MS = 10_000;

export class Mender {
  #state: RTCPeerConnectionState = 'new';
  #since: number;
  #restartAt = 0;
  #rejoinAt = 0;
  #everConnected = false;
  #lookedAt = 0;
  #slept = false;

  constructor(now: number) {
    this.#since = now;
  }

  get everConnected(): boolean {
    return this.#everConnected;
  }

  /** The way may have changed though the browser still thinks it well: it is looked for anew. */
  doubt(): void {
    this.#slept = true;
  }

  /** The server has heard of a restart: from now on the path has its time. */
  offered(now: number): void {
    if (this.#restartAt > 0) this.#restartAt = now;
  }

  /** What to do now. `held`: the server said that media is away, or the link is down; wait for it. */
  look(state: RTCPeerConnectionState, now: number, held: boolean): Cure {
    if (state !== this.#state) {
      this.#state = state;
      this.#since = now;
    }
    this.#slept ||= this.#lookedAt > 0 && now - this.#lookedAt >= SLEPT_MS;
    this.#lookedAt = now;
    if (state === 'connected') {
      this.#everConnected = true;
      this.#rejoinAt = 0;
      if (this.#slept && !held) {
        this.#slept = false;
        this.#restartAt = now;
        return 'restart';
      }
      if (now - this.#restartAt >= DOUBT_MS) this.#restartAt = 0;
      return 'none';
    }
    if (held) {
      this.#since = now;
      this.#restartAt = 0;
      return 'none';
    }
    if (this.#rejoinAt > 0) return this.#again(now, this.#rejoinAt + REJOIN_EVERY_MS);
    if (this.#restartAt > 0) return this.#again(now, this.#restartAt + RESTART_WITHIN_MS);
    const patience = this.#slept && this.#everConnected ? 0 : this.#patience(state);
    if (now - this.#since < patience) return 'none';
    if (!this.#everConnected || state === 'closed') return this.#again(now, 0);
    this.#slept = false;
    this.#restartAt = now;
    return 'restart';
  }

  #patience(state: RTCPeerConnectionState): number {
    if (state === 'failed' || state === 'closed') return 0;
    return state === 'disconnected' ? GRACE_MS : CONNECT_WITHIN_MS;
  }

  #again(now: number, notBefore: number): Cure {
    if (now < notBefore) return 'none';
    this.#rejoinAt = now;
    return 'rejoin';
  }
}
