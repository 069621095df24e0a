/** The way into a room's socket. */

import { problemOf } from '../api/problem';
import { TicketRefused } from './socket';

const TICKET_WITHIN_MS = 7_000;

/** Address of a room's socket on the page's own host. */
export function socketUrl(rooms: 'visits' | 'lessons', id: string): string {
  return `${location.origin.replace(/^http/, 'ws')}/ws/${rooms}/${id}`;
}

/**
 * A one-use ticket. Not through the client of the other calls: its 401 must reach the link, which
 * then rests instead of asking over and over.
 */
export async function fetchTicket(rooms: 'visits' | 'lessons', id: string): Promise<string> {
  const response = await fetch(`/api/v1/${rooms}/${id}/ticket`, {
    method: 'POST',
    signal: AbortSignal.timeout(TICKET_WITHIN_MS),
  });
  if (!response.ok) {
    const problem = problemOf(response, null);
    throw new TicketRefused(response.status, (problem.retryAfterS ?? 0) * 1_000);
  }
  return ((await response.json()) as { ticket: string }).ticket;
}
