/** A room's socket: carries out what link.ts decides, and hands messages to the room. */

import { iceServersAre } from '../call/ice';
import {
  CLOSE_SIGN_IN,
  initialLink,
  step,
  type LinkEffect,
  type LinkEvent,
  type LinkState,
  type Phase,
} from './link';

/** What every room says of itself, whatever else it has to say. */
interface Said {
  type: string;
}

/** Welcomes, and what renews the way back, bring a token and the TURN servers. */
interface Told extends Said {
  resume_token?: string;
  ice_servers?: RTCIceServer[];
}

/** The server refused a ticket: 401 session over, 403/404 not ours, the rest passes. */
export class TicketRefused extends Error {
  constructor(
    readonly status: number,
    readonly retryAfterMs = 0,
  ) {
    super(`ticket refused with ${status}`);
  }
}

export interface SocketPlan<Server extends Told> {
  /** ws: or wss: address of the room. */
  url: string;
  /** This page load; a copy of the tab is another one. */
  tab: string;
  /** Throws TicketRefused for an answer, anything else for no answer. */
  ticket: () => Promise<string>;
  /** Transports that are still alive, to keep the call through a lost link. */
  resume: () => string[];
  /** A server message, or null for what this page does not know. */
  read: (text: string) => Server | null;
  /** The type of the message that opens the link. */
  welcome: Server['type'];
  onMessage: (message: Server) => void;
  onFrame?: (frame: ArrayBuffer) => void;
  onPhase: (phase: Phase, state: LinkState) => void;
}

const TICK_MS = 500;
/** A ping unanswered this long: what is asked of the server now may not reach it. */
const ANSWER_WITHIN_MS = 1_500;
/** The server honours a way back for three minutes. */
const WAY_BACK_MS = 150_000;

/** A link that mends itself for ever: start it once, stop it when the page goes. */
export class RoomSocket<Server extends Told, Client extends Said> {
  #state: LinkState = initialLink;
  #socket: WebSocket | null = null;
  #ticket = '';
  /** The newest way back, and when it was told (ms). */
  #back = '';
  #backAt = 0;
  #attempt = 0;
  #ticker: ReturnType<typeof setInterval> | undefined;
  readonly #plan: SocketPlan<Server>;

  constructor(plan: SocketPlan<Server>) {
    this.#plan = plan;
  }

  get phase(): Phase {
    return this.#state.phase;
  }

  /** The server has lately answered, as far as is known. */
  get hears(): boolean {
    const { phase, probeBy, pingAt } = this.#state;
    return phase === 'open' && (probeBy === 0 || Date.now() - pingAt < ANSWER_WITHIN_MS);
  }

  start(): void {
    this.#ticker = setInterval(() => this.#event({ type: 'tick' }), TICK_MS);
    this.#event({ type: 'start' });
  }

  stop(): void {
    clearInterval(this.#ticker);
    this.#event({ type: 'stop' });
  }

  /** The page or the network came back. */
  wake(): void {
    this.#event({ type: 'wake' });
  }

  /** No media come any more either: the line may be dead. */
  silent(): void {
    this.#event({ type: 'silent' });
  }

  signedIn(): void {
    this.#back = '';
    this.#event({ type: 'signed_in' });
  }

  takeBack(): void {
    this.#event({ type: 'take_back' });
  }

  renew(): void {
    this.#event({ type: 'renew' });
  }

  /** False when there is no open link; nothing is queued, because every message here is of the moment. */
  send(message: Client): boolean {
    if (this.#state.phase !== 'open' || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #event(event: LinkEvent): void {
    const before = this.#state.phase;
    const [state, effects] = step(this.#state, event, Date.now(), Math.random());
    this.#state = state;
    for (const effect of effects) this.#do(effect);
    if (this.#state.phase !== before) this.#plan.onPhase(this.#state.phase, this.#state);
  }

  #do(effect: LinkEffect): void {
    switch (effect.type) {
      case 'fetch_ticket':
        void this.#fetchTicket();
        return;
      case 'connect':
        this.#connect(effect.ticket);
        return;
      case 'hello':
        this.#sendRaw({
          type: 'hello',
          [this.#ticket === this.#back ? 'resume_token' : 'ticket']: this.#ticket,
          tab: this.#plan.tab,
          resume: this.#plan.resume(),
        });
        return;
      case 'ping':
        this.#sendRaw({ type: 'ping', n: effect.n });
        return;
      case 'drop':
        this.#drop();
    }
  }

  async #fetchTicket(): Promise<void> {
    const attempt = ++this.#attempt;
    let event: LinkEvent;
    try {
      if (Date.now() - this.#backAt >= WAY_BACK_MS) this.#back = '';
      event = { type: 'ticket', ticket: await (this.#back || this.#plan.ticket()) };
    } catch (error) {
      const refused = error instanceof TicketRefused && [401, 403, 404].includes(error.status);
      event = refused
        ? { type: 'ticket_refused', status: error.status }
        : {
            type: 'ticket_failed',
            retryAfterMs: error instanceof TicketRefused ? error.retryAfterMs : 0,
          };
    }
    if (attempt === this.#attempt) this.#event(event);
  }

  #connect(ticket: string): void {
    this.#drop();
    this.#ticket = ticket;
    const socket = new WebSocket(this.#plan.url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    // A dropped socket must not speak for its successor.
    const ours = (): boolean => this.#socket === socket;
    socket.onopen = () => ours() && this.#event({ type: 'opened' });
    socket.onclose = (close) => {
      if (!ours()) return;
      if (close.code === CLOSE_SIGN_IN) this.#back = '';
      this.#event({ type: 'closed', code: close.code });
    };
    socket.onmessage = (message: MessageEvent<string | ArrayBuffer>) => {
      if (ours()) this.#heard(message.data);
    };
  }

  #heard(data: string | ArrayBuffer): void {
    this.#event({ type: 'heard' });
    if (typeof data !== 'string') {
      this.#plan.onFrame?.(data);
      return;
    }
    const message = this.#plan.read(data);
    if (message === null) return;
    if (message.resume_token) {
      this.#back = message.resume_token;
      this.#backAt = Date.now();
    }
    if (message.ice_servers) iceServersAre(message.ice_servers);
    if (message.type === this.#plan.welcome) this.#event({ type: 'welcome' });
    this.#plan.onMessage(message);
    if (message.type === 'signed_out') this.#event({ type: 'signed_out' });
  }

  #sendRaw(message: Said & Record<string, unknown>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt += 1;
    socket?.close();
  }
}
