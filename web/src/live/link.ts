/**
 * The link of a room as a pure state machine: `step(state, event)` gives the next state and what to do.
 * socket.ts carries the effects out; nothing here touches a clock, a socket or the network.
 *
 *   idle -> ticket -> connecting -> greeting -> open
 *             ^            |            |         |   any loss
 *             +---------- waiting <-----+---------+
 *   replaced (another tab), expired (session over), refused (not ours): rest until the person acts
 */

export type Phase =
  | 'idle'
  | 'ticket'
  | 'connecting'
  | 'greeting'
  | 'open'
  | 'waiting'
  | 'replaced'
  | 'expired'
  | 'refused';

export interface LinkState {
  phase: Phase;
  /** Losses in a row, for the back-off. */
  tries: number;
  /** When to try again (ms), in `waiting`. */
  retryAt: number;
  /** When the present attempt counts as stuck (ms), in `ticket`, `connecting` and `greeting`. */
  deadline: number;
  /** When anything was last heard, and when a ping was last sent (ms), in `open`. */
  heardAt: number;
  pingAt: number;
  /** The oldest unanswered probe must be answered by now (ms); 0 when none is out. */
  probeBy: number;
  /** Last tick (ms): a jump means the machine slept. */
  tickAt: number;
  ping: number;
  /** Was the link ever open: "connecting" and "connection lost" are different words. */
  everOpen: boolean;
}

export type LinkEvent =
  | { type: 'start' }
  | { type: 'ticket'; ticket: string }
  | { type: 'ticket_refused'; status: number }
  | { type: 'ticket_failed'; retryAfterMs?: number }
  | { type: 'opened' }
  | { type: 'welcome' }
  | { type: 'heard' }
  | { type: 'closed'; code: number }
  | { type: 'signed_out' }
  | { type: 'tick' }
  /** The network or the page came back: look at once. */
  | { type: 'wake' }
  /** Media have stopped, too: an answer is due at once. */
  | { type: 'silent' }
  | { type: 'signed_in' }
  | { type: 'take_back' }
  /** The person or the call asks for a fresh link. */
  | { type: 'renew' }
  | { type: 'stop' };

export type LinkEffect =
  | { type: 'fetch_ticket' }
  | { type: 'connect'; ticket: string }
  | { type: 'hello' }
  | { type: 'ping'; n: number }
  | { type: 'drop' };

export type LinkStep = [LinkState, LinkEffect[]];

export const PING_EVERY_MS = 3_000;
/** A ping unanswered this long is a dead link: 3 s + 5 s stays under the promised 10 s. */
export const PONG_WITHIN_MS = 5_000;
/** After waking from sleep or a network change the answer is due sooner. */
export const PROBE_WITHIN_MS = 2_000;
/** Where no media come either. */
export const SILENT_WITHIN_MS = 1_000;
/** What was sent into a dead link is sent again too late: soon a new attempt, then a patient one. */
export const ATTEMPT_WITHIN_MS = 4_000;
const PATIENT_WITHIN_MS = 8_000;
const IMPATIENT_TRIES = 4;
export const SLEPT_MS = 6_000;
const BACKOFF_FIRST_MS = 400;
const BACKOFF_MAX_MS = 3_000;

/** Close codes of the server. */
export const CLOSE_SIGN_IN = 4401;
export const CLOSE_FORBIDDEN = 4403;
export const CLOSE_NOT_FOUND = 4404;
export const CLOSE_REPLACED = 4409;

export const initialLink: LinkState = {
  phase: 'idle',
  tries: 0,
  retryAt: 0,
  deadline: 0,
  heardAt: 0,
  pingAt: 0,
  probeBy: 0,
  tickAt: 0,
  ping: 0,
  everOpen: false,
};

/** Wait before try number `tries` (1 is the first): doubling to 3 s, jittered to 50-100 % of it. */
export function backoffMs(tries: number, random: number): number {
  const full = Math.min(
    BACKOFF_MAX_MS,
    BACKOFF_FIRST_MS * 2 ** Math.max(0, Math.min(tries, 16) - 1),
  );
  return Math.round(full * (0.5 + random / 2));
}

const attempt = ({ tries }: LinkState): number =>
  tries < IMPATIENT_TRIES ? ATTEMPT_WITHIN_MS : PATIENT_WITHIN_MS;

function toTicket(state: LinkState, now: number, first: LinkEffect[] = []): LinkStep {
  return [
    { ...state, phase: 'ticket', deadline: now + attempt(state), probeBy: 0 },
    [...first, { type: 'fetch_ticket' }],
  ];
}

function toWaiting(state: LinkState, now: number, random: number, atLeastMs = 0): LinkStep {
  const tries = state.tries + 1;
  const retryAt = now + Math.max(atLeastMs, backoffMs(tries, random));
  return [{ ...state, phase: 'waiting', tries, retryAt, probeBy: 0 }, [{ type: 'drop' }]];
}

function onClosed(state: LinkState, code: number, now: number, random: number): LinkStep {
  if (code === CLOSE_REPLACED) return [{ ...state, phase: 'replaced' }, [{ type: 'drop' }]];
  if (code === CLOSE_FORBIDDEN || code === CLOSE_NOT_FOUND) {
    return [{ ...state, phase: 'refused' }, [{ type: 'drop' }]];
  }
  // 4401 may be a stale ticket or a dead session: only a new ticket request can tell, so the
  // first one asks at once and its 401 ends in `expired`.
  if (code === CLOSE_SIGN_IN && state.tries === 0) {
    return toTicket({ ...state, tries: 1 }, now, [{ type: 'drop' }]);
  }
  return toWaiting(state, now, random);
}

function onTick(state: LinkState, now: number, random: number): LinkStep {
  const slept = state.tickAt > 0 && now - state.tickAt > SLEPT_MS;
  const ticked = { ...state, tickAt: now };
  if (slept) return onWake(ticked, now);
  switch (state.phase) {
    case 'waiting':
      return now >= state.retryAt ? toTicket(ticked, now) : [ticked, []];
    case 'ticket':
    case 'connecting':
    case 'greeting':
      return now >= state.deadline ? toWaiting(ticked, now, random) : [ticked, []];
    case 'open':
      if (state.probeBy > 0 && now >= state.probeBy) {
        return toTicket({ ...ticked, tries: 1 }, now, [{ type: 'drop' }]);
      }
      if (state.probeBy === 0 && now - state.pingAt >= PING_EVERY_MS) {
        return probe(ticked, now, PONG_WITHIN_MS);
      }
      return [ticked, []];
    default:
      return [ticked, []];
  }
}

function probe(state: LinkState, now: number, within: number): LinkStep {
  const n = state.ping + 1;
  return [{ ...state, ping: n, pingAt: now, probeBy: now + within }, [{ type: 'ping', n }]];
}

function onSilent(state: LinkState, now: number): LinkStep {
  if (state.phase !== 'open') return [state, []];
  if (state.probeBy === 0) return probe(state, now, SILENT_WITHIN_MS);
  return [{ ...state, probeBy: Math.min(state.probeBy, state.pingAt + SILENT_WITHIN_MS) }, []];
}

function onWake(state: LinkState, now: number): LinkStep {
  switch (state.phase) {
    case 'waiting':
      return toTicket({ ...state, tries: 0 }, now);
    case 'ticket':
    case 'connecting':
    case 'greeting':
      return now >= state.deadline ? toTicket(state, now, [{ type: 'drop' }]) : [state, []];
    case 'open': {
      if (state.probeBy > 0 && now >= state.probeBy) {
        return toTicket({ ...state, tries: 0 }, now, [{ type: 'drop' }]);
      }
      return probe(state, now, PROBE_WITHIN_MS);
    }
    default:
      return [state, []];
  }
}

/** One step of the link. `random` is in [0, 1) and `now` in ms of wall time (it must run on in sleep). */
export function step(state: LinkState, event: LinkEvent, now: number, random: number): LinkStep {
  switch (event.type) {
    case 'start':
      return state.phase === 'idle' ? toTicket({ ...state, tickAt: now }, now) : [state, []];
    case 'ticket':
      if (state.phase !== 'ticket') return [state, []];
      return [
        { ...state, phase: 'connecting', deadline: now + attempt(state) },
        [{ type: 'connect', ticket: event.ticket }],
      ];
    case 'ticket_refused':
      if (state.phase !== 'ticket') return [state, []];
      if (event.status === 401) return [{ ...state, phase: 'expired' }, []];
      return [{ ...state, phase: 'refused' }, []];
    case 'ticket_failed':
      if (state.phase !== 'ticket') return [state, []];
      return toWaiting(state, now, random, event.retryAfterMs);
    case 'opened':
      if (state.phase !== 'connecting') return [state, []];
      return [{ ...state, phase: 'greeting', deadline: now + attempt(state) }, [{ type: 'hello' }]];
    case 'welcome':
      if (state.phase !== 'greeting') return [state, []];
      return [
        {
          ...state,
          phase: 'open',
          tries: 0,
          heardAt: now,
          pingAt: now,
          probeBy: 0,
          everOpen: true,
        },
        [],
      ];
    case 'heard':
      return state.phase === 'open' ? [{ ...state, heardAt: now, probeBy: 0 }, []] : [state, []];
    case 'closed':
      if (['idle', 'waiting', 'replaced', 'expired', 'refused', 'ticket'].includes(state.phase)) {
        return [state, []];
      }
      return onClosed(state, event.code, now, random);
    case 'signed_out':
      return [{ ...state, phase: 'expired' }, [{ type: 'drop' }]];
    case 'tick':
      return onTick(state, now, random);
    case 'wake':
      return onWake(state, now);
    case 'silent':
      return onSilent(state, now);
    case 'signed_in':
      return state.phase === 'expired' ? toTicket({ ...state, tries: 0 }, now) : [state, []];
    case 'take_back':
      return state.phase === 'replaced' ? toTicket({ ...state, tries: 0 }, now) : [state, []];
    case 'renew':
      if (['idle', 'replaced', 'expired', 'refused'].includes(state.phase)) return [state, []];
      return toTicket({ ...state, tries: 0 }, now, [{ type: 'drop' }]);
    case 'stop':
      return [{ ...state, phase: 'idle' }, [{ type: 'drop' }]];
  }
}
