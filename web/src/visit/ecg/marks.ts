/** R peaks of one stream (unix µs), sorted, each once; as many as a long visit has. */

/** Two hours at 300 a minute. */
const KEPT = 36_000;
/** Told as it came and found again in the stored signal it is one beat: no heart has two so near. */
const SAME_US = 120_000;

export class Marks {
  #us: number[] = [];

  get all(): readonly number[] {
    return this.#us;
  }

  add(us: readonly number[]): void {
    for (const each of us) {
      const last = this.#us.at(-1) ?? -Infinity;
      if (each - last > SAME_US) this.#us.push(each);
      else if (each < last - SAME_US) this.#put(each);
    }
    if (this.#us.length > KEPT) this.#us = this.#us.slice(-KEPT);
  }

  /** The stored signal was read as a whole: between these moments its beats are the beats. */
  replace(fromUs: number, untilUs: number, us: readonly number[]): void {
    const others = this.#us.filter((each) => each < fromUs || each > untilUs);
    this.#us = [...others, ...us].sort((a, b) => a - b).slice(-KEPT);
  }

  /** One that comes behind others. */
  #put(us: number): void {
    const at = this.#us.findIndex((each) => each >= us - SAME_US);
    if (Math.abs((this.#us[at] ?? Infinity) - us) > SAME_US) this.#us.splice(at, 0, us);
  }

  within(fromUs: number, untilUs: number): number[] {
    return this.#us.filter((each) => each >= fromUs && each <= untilUs);
  }
}
