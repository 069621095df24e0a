/**
 * How far the trace is drawn. Frames come five times a second; the pen moves sixty times. It runs at
 * the paper's own speed and hurries when more waits than one frame, so it never falls behind for long.
 */
export class Playhead {
  position: number;
  /** Part of a sample the pen has gone beyond `position`. */
  #rest = 0;

  constructor(position: number) {
    this.position = position;
  }

  /**
   * Move on by `dtMs` towards `end` (one past the newest sample) and return the new position.
   * Not smooth (reduced motion): whole frames at once. More than a second behind: jump.
   */
  advance(end: number, dtMs: number, rateHz: number, smooth: boolean): number {
    const backlog = end - this.position;
    if (backlog <= 0) {
      this.#rest = 0;
      return this.position;
    }
    if (!smooth || backlog > rateHz) {
      this.#rest = 0;
      this.position = end;
      return end;
    }
    const frame = rateHz * 0.2;
    const hurry = 1 + Math.max(0, (backlog - frame) / frame);
    const wanted = this.#rest + (dtMs / 1_000) * rateHz * hurry;
    const whole = Math.min(backlog, Math.floor(wanted));
    this.#rest = whole === backlog ? 0 : wanted - whole;
    this.position += whole;
    return this.position;
  }
}
