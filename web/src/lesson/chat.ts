/** The lesson's chat: what is there, and what this page has yet to send. */

import { toProblem, type Problem } from '../api/problem';
import { uuid4 } from '../live/tab';
import type { ChatMessage } from './wire';

export const MAX_TEXT = 500;

/** Written here and not on the server yet. */
export interface OutgoingMessage {
  clientId: string;
  text: string;
  sending: boolean;
}

/** The list with new or changed messages in it, in the order they were written. */
export function mergeMessages(
  list: readonly ChatMessage[],
  more: readonly ChatMessage[],
): ChatMessage[] {
  const byId = new Map(list.map((message) => [message.id, message]));
  for (const message of more) byId.set(message.id, message);
  return [...byId.values()].sort(
    (a, b) => Date.parse(a.sent_at) - Date.parse(b.sent_at) || a.id.localeCompare(b.id),
  );
}

interface ChatPlan {
  send: (text: string, clientId: string) => Promise<ChatMessage>;
  onStored: (message: ChatMessage) => void;
  onRefused: (problem: Problem) => void;
  onChange: (outgoing: readonly OutgoingMessage[]) => void;
}

/** Sends what was written, one after the other and each once, however often the link breaks. */
export class ChatOutbox {
  readonly #plan: ChatPlan;
  #outgoing: readonly OutgoingMessage[] = [];
  #busy = false;

  constructor(plan: ChatPlan) {
    this.#plan = plan;
  }

  get empty(): boolean {
    return this.#outgoing.length === 0;
  }

  write(text: string): void {
    this.#become([...this.#outgoing, { clientId: uuid4(), text, sending: false }]);
    void this.retry();
  }

  async retry(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#outgoing[0]; next !== undefined; next = this.#outgoing[0]) {
      if (!(await this.#send(next))) break;
    }
    this.#busy = false;
  }

  async #send(message: OutgoingMessage): Promise<boolean> {
    const { clientId } = message;
    this.#become(this.#outgoing.map((one) => (one === message ? { ...one, sending: true } : one)));
    const without = (): OutgoingMessage[] =>
      this.#outgoing.filter((one) => one.clientId !== clientId);
    try {
      const stored = await this.#plan.send(message.text, clientId);
      this.#become(without());
      this.#plan.onStored(stored);
      return true;
    } catch (error) {
      const problem = toProblem(error);
      const later = problem.passing || problem.status >= 500 || [401, 429].includes(problem.status);
      if (later) {
        this.#become(this.#outgoing.map((one) => ({ ...one, sending: false })));
        // Who writes too fast has nothing to press: the rest goes when the server named.
        if (problem.retryAfterS !== null) {
          setTimeout(() => void this.retry(), problem.retryAfterS * 1_000);
        }
        return false;
      }
      this.#become(without());
      this.#plan.onRefused(problem);
      return true;
    }
  }

  #become(outgoing: readonly OutgoingMessage[]): void {
    this.#outgoing = outgoing;
    this.#plan.onChange(outgoing);
  }
}
