/** The chat of a lesson as its page shows it. */

import { problemText } from '../api/problem';
import { toast } from '../ui/announce.svelte';
import { ChatOutbox, mergeMessages, type OutgoingMessage } from './chat';
import * as rest from './rest';
import type { ChatMessage } from './wire';

export class Talk {
  readonly #id: string;
  readonly #outbox: ChatOutbox;
  messages = $state.raw<readonly ChatMessage[]>([]);
  outgoing = $state.raw<readonly OutgoingMessage[]>([]);
  #here = false;

  constructor(id: string) {
    this.#id = id;
    this.#outbox = new ChatOutbox({
      send: (text, clientId) => rest.writeMessage(id, text, clientId),
      onStored: (message) => this.add(message),
      onRefused: (problem) => toast(problemText(problem), 'trouble'),
      onChange: (outgoing) => (this.outgoing = outgoing),
    });
  }

  add(message: ChatMessage): void {
    this.messages = mergeMessages(this.messages, [message]);
  }

  write(text: string): void {
    this.#outbox.write(text);
  }

  async judge(messageId: string, state: 'approved' | 'refused'): Promise<void> {
    this.add(await rest.judgeMessage(this.#id, messageId, state));
  }

  /** Read everything anew, and send what waits: the link, or the store, is back. */
  back(): void {
    void this.#load();
    void this.#outbox.retry();
  }

  /** What could not be had or sent before: again. */
  retry(): void {
    void this.#outbox.retry();
    if (!this.#here) void this.#load();
  }

  async #load(): Promise<void> {
    try {
      this.messages = mergeMessages([], await rest.loadMessages(this.#id));
      this.#here = true;
    } catch {
      this.#here = false;
    }
  }
}
