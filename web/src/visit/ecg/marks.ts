/** R peaks of one stream (unix µs), sorted, each once; the newest few thousand. */

/** Ten minutes at 300 a minute. */
const KEPT = 3_000;

export class Marks {
  #us: number[] = [];

  get all(): readonly number[] {
    return this.#us;
  }

  add(us: readonly number[]): void {
    const last = this.#us.at(-1) ?? -Infinity;
    const inOrder = us.every((each, i) => each > (us[i - 1] ?? last));
    const all = [...this.#us, ...us];
    this.#us = (inOrder ? all : [...new Set(all)].sort((a, b) => a - b)).slice(-KEPT);
  }

  /** The stored signal was read as a whole: between these moments its beats are the beats. */
  replace(fromUs: number, untilUs: number, us: readonly number[]): void {
    const others = this.#us.filter((each) => each < fromUs || each > untilUs);
    this.#us = [...others, ...us].sort((a, b) => a - b).slice(-KEPT);
  }

  within(fromUs: number, untilUs: number): number[] {
    return this.#us.filter((each) => each >= fromUs && each <= untilUs);
  }
}
