/** What the watch page asks of the API. */

import { fetchSignedIn } from '../api/client';
import { problemOf } from '../api/problem';
import type { Deck } from '../slides/deck';
import type { Presentation } from './timeline';

export type Edition = 'lesson' | 'audio';

const ofLesson = (id: string): string => `/api/v1/lessons/${id}`;
export const playlistUrl = (id: string): string => `${ofLesson(id)}/recording/index.m3u8`;
export const fileUrl = (id: string, edition: Edition): string =>
  `${ofLesson(id)}/recording/${edition}.mp4`;

async function get<T>(path: string): Promise<{ data: T; response: Response }> {
  const response = await fetchSignedIn(new Request(new URL(path, location.origin)));
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw problemOf(response, body);
  return { data: body as T, response };
}

export interface Known {
  presentation: Presentation;
  /** How far this device's clock is ahead of the server's. */
  aheadMs: number;
}

/** A header of whole seconds cannot tell a smaller difference of clocks. */
const CLOCKS_AGREE_MS = 2_000;

export async function loadRecording(id: string): Promise<Known> {
  const { data, response } = await get<Presentation>(`${ofLesson(id)}/recording`);
  const server = Date.parse(response.headers.get('Date') ?? '');
  const aheadMs = Number.isNaN(server) ? 0 : Date.now() - server;
  return { presentation: data, aheadMs: Math.abs(aheadMs) < CLOCKS_AGREE_MS ? 0 : aheadMs };
}

export const loadDeck = async (id: string): Promise<Deck> =>
  (await get<Deck>(`${ofLesson(id)}/slides`)).data;
