/** Turning slides: the teacher's own screen turns at once, the server hears the newest wish. */

interface TurnerPlan {
  send: (page: number) => Promise<unknown>;
  onFailed: (error: unknown) => void;
  /** The page wished for and not confirmed yet, null when there is none. */
  onChange: (wanted: number | null) => void;
}

export class Turner {
  readonly #plan: TurnerPlan;
  #wanted: number | null = null;
  #busy = false;

  constructor(plan: TurnerPlan) {
    this.#plan = plan;
  }

  turn(page: number): void {
    this.#become(page);
    if (!this.#busy) void this.#send();
  }

  async #send(): Promise<void> {
    this.#busy = true;
    while (this.#wanted !== null) {
      const page: number = this.#wanted;
      try {
        await this.#plan.send(page);
        if (this.#wanted === page) this.#become(null);
      } catch (error) {
        // Back to what the class sees.
        this.#become(null);
        this.#plan.onFailed(error);
      }
    }
    this.#busy = false;
  }

  #become(page: number | null): void {
    this.#wanted = page;
    this.#plan.onChange(page);
  }
}
