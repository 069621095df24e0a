/** What the visit room asks of the API. */

import { api, ask } from '../api/client';
import { problemOf, toProblem, type Problem } from '../api/problem';
import type { components } from '../api/schema';
import type { Visit } from '../api/types';
import { MalformedFrame, decodeFrames } from './ecg/frames';
import type { FetchFrames } from './ecg/history';
import type { SaveResult, StoredNote } from './note/keeper';
import { atFields, type Measurement } from './readings/form';
import type { SendResult } from './readings/outbox';
import type { EcgStreamInfo, Reading } from './wire';

/** Somebody who closed the sign-in dialog is not asked again and again. */
const UNTIL_SIGNED_IN_MS = 600_000;
const AWAY_RETRY_MS = 3_000;

const visitPath = (visitId: string) => ({ params: { path: { visit_id: visitId } } });

export const loadVisit = (id: string): Promise<Visit> =>
  ask(api.GET('/api/v1/visits/{visit_id}', visitPath(id)));

export const openVisit = (id: string): Promise<Visit> =>
  ask(api.POST('/api/v1/visits/{visit_id}/open', visitPath(id)));

export const closeVisit = (id: string): Promise<Visit> =>
  ask(api.POST('/api/v1/visits/{visit_id}/close', visitPath(id)));

export const loadReadings = (id: string): Promise<Reading[]> =>
  ask(api.GET('/api/v1/visits/{visit_id}/readings', visitPath(id)));

export const loadStreams = (id: string): Promise<EcgStreamInfo[]> =>
  ask(api.GET('/api/v1/visits/{visit_id}/ecg', visitPath(id)));

/** Stored ECG frames of a visit; an unreadable answer counts as none. */
export function framesOf(visitId: string): FetchFrames {
  return async (stream, after, limit) => {
    const bytes = await ask(
      api.GET('/api/v1/visits/{visit_id}/ecg/{stream_id}/frames', {
        params: {
          path: { visit_id: visitId, stream_id: stream },
          query: { after, limit },
        },
        parseAs: 'arrayBuffer',
      }),
    );
    try {
      return decodeFrames(new Uint8Array(bytes));
    } catch (error) {
      if (error instanceof MalformedFrame) return [];
      throw error;
    }
  };
}

/** The doctor's note; null while the server cannot be reached. */
export async function loadNote(id: string): Promise<StoredNote | null> {
  try {
    return await ask(api.GET('/api/v1/visits/{visit_id}/note', visitPath(id)));
  } catch {
    return null;
  }
}

export async function saveNote(id: string, note: StoredNote): Promise<SaveResult> {
  try {
    const stored = await ask(
      api.PUT('/api/v1/visits/{visit_id}/note', { ...visitPath(id), body: note }),
    );
    return { is: 'stored', note: stored };
  } catch (error) {
    return saveRefused(id, toProblem(error));
  }
}

async function saveRefused(id: string, problem: Problem): Promise<SaveResult> {
  if (problem.code === 'note_changed') {
    const { text, version } = problem.params;
    if (typeof text === 'string' && typeof version === 'number') {
      return { is: 'changed', current: { text, version } };
    }
    const current = await loadNote(id);
    return current === null ? { is: 'away' } : { is: 'changed', current };
  }
  const hopeless = [400, 403, 404, 413, 422].includes(problem.status);
  return { is: hopeless ? 'refused' : 'away' };
}

/** One reading typed by hand: 201 is new, 200 was stored before. */
export function sendReading(measurement: Measurement): Promise<SendResult> {
  const body = measurement as components['schemas']['Measurement'];
  return sent(() => api.POST('/api/v1/my/readings', { body }));
}

/** One reading typed at the desk for whoever showed a QR. */
export function sendReadingFor(
  assistanceId: string,
  measurement: Measurement,
): Promise<SendResult> {
  const body = measurement as components['schemas']['Measurement'];
  const params = { path: { assistance_id: assistanceId } };
  return sent(() => api.POST('/api/v1/assistance/{assistance_id}/readings', { params, body }));
}

interface Sent {
  data?: unknown;
  error?: unknown;
  response: Response;
}

async function sent(post: () => Promise<Sent>): Promise<SendResult> {
  try {
    const { data, error, response } = await post();
    if (!response.ok) return notStored(problemOf(response, error));
    return {
      is: response.status === 200 ? 'repeated' : 'stored',
      reading: data as Reading,
    };
  } catch (error) {
    return notStored(toProblem(error));
  }
}

function notStored(problem: Problem): SendResult {
  if (problem.status === 401) return { is: 'away', retryAfterMs: UNTIL_SIGNED_IN_MS };
  if (problem.passing || problem.status === 429 || problem.status >= 500) {
    const retryAfterMs = (problem.retryAfterS ?? 0) * 1_000 || AWAY_RETRY_MS;
    return { is: 'away', retryAfterMs };
  }
  const refusals = atFields(problem.errors);
  return {
    is: 'refused',
    refusals: refusals.length > 0 ? refusals : [{ field: '', code: problem.code, params: {} }],
  };
}
