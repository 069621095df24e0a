import createClient from 'openapi-fetch';
import { problemOf, serverAway } from './problem';
import type { paths } from './schema';

/** A weak link may need long; beyond this the person is told instead of left waiting. */
const PATIENCE_MS = 20_000;
/** The server gives a body three minutes, reading it four, and then stores: no sooner than it. */
const FILE_PATIENCE_MS = 450_000;

let signInAgain: () => Promise<boolean> = () => Promise.resolve(false);

/**
 * Says who asks the person to sign in again when a session has ended in the middle of work.
 * Answers true when the same person is signed in again.
 */
export function whenSignedOut(ask: () => Promise<boolean>): void {
  signInAgain = ask;
}

let proveAgain: () => Promise<boolean> = () => Promise.resolve(false);

/**
 * Says who asks the person to prove again who they are, before something sensitive. Answers true
 * when they have.
 */
export function whenProofNeeded(ask: () => Promise<boolean>): void {
  proveAgain = ask;
}

/** These answer 401 for their own reasons; asking again would be a circle. */
function asksWhoIsThere(request: Request): boolean {
  const { pathname } = new URL(request.url);
  return (
    /\/(sign-in(\/.*)?|sign-out)$/.test(pathname) ||
    (request.method === 'GET' && /\/me$/.test(pathname))
  );
}

async function asksForProof(response: Response): Promise<boolean> {
  if (response.status !== 403) return false;
  try {
    const body: unknown = await response.clone().json();
    return (body as { code?: unknown } | null)?.code === 'step_up_needed';
  } catch {
    return false;
  }
}

async function patientFetch(request: Request): Promise<Response> {
  const patience = new AbortController();
  const stop = () => patience.abort();
  const file = request.headers.get('Content-Type') === 'application/octet-stream';
  const timer = setTimeout(stop, file ? FILE_PATIENCE_MS : PATIENCE_MS);
  request.signal.addEventListener('abort', stop);
  try {
    return await fetch(request, { signal: patience.signal });
  } catch (error) {
    if (request.signal.aborted) throw error; // The page itself gave up; nobody is to be told.
    throw serverAway();
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener('abort', stop);
  }
}

/**
 * Fetch for everything of the API. An ended session opens the sign-in dialog over the page,
 * so that what was typed stays, and the request is then sent once more; something sensitive
 * opens the dialog that asks for a proof, likewise.
 */
export async function fetchSignedIn(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await patientFetch(request);
  if (response.status === 401 && !asksWhoIsThere(request)) {
    return (await signInAgain()) ? patientFetch(again) : response;
  }
  if (await asksForProof(response)) return (await proveAgain()) ? patientFetch(again) : response;
  return response;
}

export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: fetchSignedIn,
  credentials: 'same-origin',
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; throws a `Problem` for every refusal and for silence. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw problemOf(response, error);
  return data as T;
}
