/** How many notices wait, known to every page that follows; the server answers when it changes. */
const WAIT_S = 15;
const RETRY_MS = 10_000;

const state = $state<{ count: number; newestAt: string | null }>({ count: 0, newestAt: null });
let followers = 0;
let stop: AbortController | null = null;

export function unreadCount(): number {
  return state.count;
}

/** When the newest unread notice came: a page that shows notices looks again when it changes. */
export function newestUnread(): string | null {
  return state.newestAt;
}

/** Keeps the count fresh while a page follows it; answers how to stop. */
export function followUnread(): () => void {
  followers += 1;
  if (followers === 1) {
    document.addEventListener('visibilitychange', wake);
    wake();
  }
  return () => {
    followers -= 1;
    if (followers > 0) return;
    document.removeEventListener('visibilitychange', wake);
    rest();
  };
}

/** Asks while somebody may be looking; a hidden page asks nothing. */
function wake(): void {
  rest();
  if (document.visibilityState === 'hidden') return;
  stop = new AbortController();
  void follow(stop.signal);
}

function rest(): void {
  stop?.abort();
  stop = null;
}

async function follow(signal: AbortSignal): Promise<void> {
  let known: number | null = null;
  while (!signal.aborted) {
    const found = await ask(known, signal);
    if (signal.aborted || found === 'signed out') return;
    if (found === 'no answer') {
      known = null;
      await pause(signal);
    } else {
      known = found.count;
      state.count = found.count;
      state.newestAt = found.newest_at;
    }
  }
}

type Answer = { count: number; newest_at: string | null } | 'signed out' | 'no answer';

/**
 * Past the API's client on purpose: a session that ended must not open a dialog over the page
 * because of a question that nobody asked.
 */
async function ask(known: number | null, signal: AbortSignal): Promise<Answer> {
  const query = known === null ? '' : `?wait_s=${WAIT_S}&known=${known}`;
  try {
    const url = `${location.origin}/api/v1/notices/unread${query}`;
    const response = await fetch(new Request(url, { signal, credentials: 'same-origin' }));
    if (response.status === 401) return 'signed out';
    return response.ok ? ((await response.json()) as Answer) : 'no answer';
  } catch {
    return 'no answer';
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, RETRY_MS);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      done();
    });
  });
}
