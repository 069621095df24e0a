/** Sends one PDF and says how it goes. What cannot be slides is refused before a byte is sent. */

import { problemOf, serverAway, type Problem } from '../api/problem';
import { signInAgain } from '../session.svelte';
import type { Deck } from './deck';

export const MOST_BYTES = 50 * 1024 * 1024;
/** A reader of PDF looks for the mark in the first kilobyte; some programs write before it. */
const MARK_WITHIN = 1024;

export type Refusal =
  'one_file' | 'not_a_pdf' | 'broken_pdf' | 'pdf_locked' | 'too_many_pages' | 'too_large' | 'away';

const OF_SERVER: readonly string[] = [
  'not_a_pdf',
  'broken_pdf',
  'pdf_locked',
  'too_many_pages',
  'too_large',
];

/** Our own sentence for a refusal of the server, or null when the common one says it. */
export function refusalOf(problem: Problem): Refusal | null {
  for (const code of [problem.code, ...problem.errors.map((error) => error.code)]) {
    if (OF_SERVER.includes(code)) return code as Refusal;
  }
  if (problem.status === 413) return 'too_large';
  return problem.code === 'server_away' || problem.code === 'body_too_slow' ? 'away' : null;
}

/** Why this file cannot be slides, seen without sending it; null when it may. */
export async function lookInto(file: Blob): Promise<Refusal | null> {
  if (file.size > MOST_BYTES) return 'too_large';
  const head = new Uint8Array(await file.slice(0, MARK_WITHIN).arrayBuffer());
  return String.fromCharCode(...head).includes('%PDF-') ? null : 'not_a_pdf';
}

export interface Sending {
  deck: Promise<Deck>;
  cancel: () => void;
}

/** Thrown by `deck` after `cancel`. */
export class Cancelled extends Error {}

// fetch tells nothing of a request's progress; XMLHttpRequest does.
function put(
  url: string,
  file: Blob,
  onprogress: (share: number) => void,
  stop: AbortSignal,
): Promise<XMLHttpRequest> {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open('PUT', url);
    request.setRequestHeader('Content-Type', 'application/pdf');
    request.upload.onprogress = (event) => onprogress(event.loaded / Math.max(1, event.total));
    request.upload.onload = () => onprogress(1);
    request.onload = () => done(request);
    request.onerror = () => failed(serverAway());
    request.onabort = () => failed(new Cancelled());
    stop.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

function json(request: XMLHttpRequest): unknown {
  try {
    return JSON.parse(request.responseText) as unknown;
  } catch {
    return null;
  }
}

/** Sends the file; `onprogress` hears the share that has left, 1 when the server has it all. */
export function sendSlides(
  lessonId: string,
  file: File,
  onprogress: (share: number) => void,
): Sending {
  const stop = new AbortController();
  const url = `/api/v1/lessons/${lessonId}/slides?name=${encodeURIComponent(file.name)}`;
  const send = async (): Promise<Deck> => {
    let request = await put(url, file, onprogress, stop.signal);
    if (request.status === 401 && (await signInAgain())) {
      if (stop.signal.aborted) throw new Cancelled();
      onprogress(0);
      request = await put(url, file, onprogress, stop.signal);
    }
    if (request.status >= 200 && request.status < 300) return json(request) as Deck;
    throw problemOf(new Response(null, { status: request.status || 502 }), json(request));
  };
  return { deck: send(), cancel: () => stop.abort() };
}
