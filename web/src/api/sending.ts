/** Sends one file as a body and says how it goes. */

import { signInAgain } from '../session.svelte';
import { problemOf, serverAway } from './problem';

export interface Sending<Made> {
  made: Promise<Made>;
  cancel: () => void;
}

/** Thrown by `made` after `cancel`. */
export class Cancelled extends Error {}

// fetch tells nothing of a request's progress; XMLHttpRequest does.
function put(
  url: string,
  type: string,
  file: Blob,
  onprogress: (share: number) => void,
  stop: AbortSignal,
): Promise<XMLHttpRequest> {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open('PUT', url);
    request.setRequestHeader('Content-Type', type);
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
export function sendFile<Made>(
  url: string,
  type: string,
  file: Blob,
  onprogress: (share: number) => void,
): Sending<Made> {
  const stop = new AbortController();
  const send = async (): Promise<Made> => {
    let request = await put(url, type, file, onprogress, stop.signal);
    if (request.status === 401 && (await signInAgain())) {
      if (stop.signal.aborted) throw new Cancelled();
      onprogress(0);
      request = await put(url, type, file, onprogress, stop.signal);
    }
    if (request.status >= 200 && request.status < 300) return json(request) as Made;
    throw problemOf(new Response(null, { status: request.status || 502 }), json(request));
  };
  return { made: send(), cancel: () => stop.abort() };
}
