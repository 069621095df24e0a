/** Sample to screen: how long after its last sample a frame was fully drawn. */

const KEPT = 300;

export class Delays {
  #ms: number[] = [];
  #next = 0;

  get count(): number {
    return this.#ms.length;
  }

  /** Add a delay in ms; the last 300 (a minute of 200 ms frames) are kept. */
  add(ms: number): void {
    if (this.#ms.length < KEPT) this.#ms.push(ms);
    else this.#ms[this.#next] = ms;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** 95 % of frames were drawn within this many ms (nearest rank); null before the first. */
  get p95(): number | null {
    if (this.#ms.length === 0) return null;
    const sorted = [...this.#ms].sort((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? null;
  }
}
