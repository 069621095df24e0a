import { vi } from 'vitest';

/** What the network answers to one request: a JSON body with a status, or nothing at all. */
export interface Reply {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
  down?: boolean;
}

export interface Sent {
  method: string;
  path: string;
  search: string;
  body: string;
}

/**
 * A network for a test: answers by `METHOD /path` in turn, the last one for ever, and keeps what
 * was sent. What is not named is 404.
 */
export function network(replies: Record<string, Reply | Reply[]>): Sent[] {
  const queues = new Map(Object.entries(replies).map(([route, reply]) => [route, [reply].flat()]));
  const sent: Sent[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    sent.push({ method: request.method, path: pathname, search, body: await request.text() });
    const queue = queues.get(`${request.method} ${pathname}`) ?? [{ status: 404 }];
    const reply = (queue.length > 1 ? queue.shift() : queue[0]) ?? {};
    if (reply.down) throw new TypeError('network is down');
    const status = reply.status ?? 200;
    return new Response(status === 204 ? null : JSON.stringify(reply.body ?? {}), {
      status,
      headers: { 'Content-Type': 'application/json', ...reply.headers },
    });
  });
  return sent;
}

export const person = {
  id: '0197aaaa-0000-7000-8000-000000000001',
  name: 'Илдар Сәфәров',
  family_name: 'Сәфәров',
  given_name: 'Илдар',
  language: 'ru',
  roles: [],
  staff: false,
};

export const problem = (status: number, code: string, more: object = {}): Reply => ({
  status,
  body: { type: 'about:blank', title: code, status, code, error_id: 'e-17', ...more },
});
