/** A set of whole numbers kept as sorted, disjoint, closed ranges: small however long a recording runs. */
export class Ranges {
  #ranges: [number, number][] = [];

  get all(): readonly (readonly [number, number])[] {
    return this.#ranges;
  }

  /** How many numbers are in the set. */
  get size(): number {
    return this.#ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  }

  get last(): number | null {
    return this.#ranges.at(-1)?.[1] ?? null;
  }

  has(n: number): boolean {
    return this.#ranges.some(([from, to]) => from <= n && n <= to);
  }

  /** False when it was there already. */
  add(n: number): boolean {
    // Frames come nearly in order: look from the end.
    let i = this.#ranges.length - 1;
    while (i >= 0 && (this.#ranges[i] as [number, number])[0] > n) i -= 1;
    const before = this.#ranges[i];
    if (before !== undefined && n <= before[1]) return false;
    const after = this.#ranges[i + 1];
    const joinsBefore = before?.[1] === n - 1;
    const joinsAfter = after?.[0] === n + 1;
    if (joinsBefore && joinsAfter) {
      before[1] = after[1];
      this.#ranges.splice(i + 1, 1);
    } else if (joinsBefore) before[1] = n;
    else if (joinsAfter) after[0] = n;
    else this.#ranges.splice(i + 1, 0, [n, n]);
    return true;
  }

  /** Numbers between the first and the last that are not there. */
  get holes(): [number, number][] {
    const holes: [number, number][] = [];
    for (let i = 1; i < this.#ranges.length; i += 1) {
      const before = this.#ranges[i - 1] as [number, number];
      const after = this.#ranges[i] as [number, number];
      holes.push([before[1] + 1, after[0] - 1]);
    }
    return holes;
  }
}
