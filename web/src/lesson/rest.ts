/** What the lesson room asks of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import type { Lesson } from '../api/types';
import type { DeviceKind } from '../call/wire';
import type { Deck } from '../slides/deck';
import type {
  Audience,
  ChatMessage,
  NewGroups,
  RecordingConsents,
  RoomNow,
  SlideNow,
} from './wire';

const at = (id: string) => ({ params: { path: { lesson_id: id } } });

export const loadLesson = (id: string): Promise<Lesson> =>
  ask(api.GET('/api/v1/lessons/{lesson_id}', at(id)));
export const openLesson = (id: string): Promise<Lesson> =>
  ask(api.POST('/api/v1/lessons/{lesson_id}/open', at(id)));
export const endLesson = (id: string): Promise<Lesson> =>
  ask(api.POST('/api/v1/lessons/{lesson_id}/end', at(id)));

export const raiseHand = (id: string): Promise<unknown> =>
  ask(api.PUT('/api/v1/lessons/{lesson_id}/hand', at(id)));
export const lowerHand = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/lessons/{lesson_id}/hand', at(id)));
export const lowerOther = (id: string, person: string): Promise<unknown> =>
  ask(
    api.DELETE('/api/v1/lessons/{lesson_id}/hands/{person_id}', {
      params: { path: { lesson_id: id, person_id: person } },
    }),
  );

export const giveFloor = (id: string, person: string, kinds: DeviceKind[]): Promise<RoomNow> =>
  ask(
    api.PUT('/api/v1/lessons/{lesson_id}/floor', {
      ...at(id),
      body: { person_id: person, kinds },
    }),
  );
export const takeFloor = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/lessons/{lesson_id}/floor', at(id)));

export const divide = (id: string, groups: NewGroups): Promise<RoomNow> =>
  ask(api.PUT('/api/v1/lessons/{lesson_id}/groups', { ...at(id), body: groups }));
export const callBack = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/lessons/{lesson_id}/groups', at(id)));
export const visitGroup = (id: string, number: number | null): Promise<RoomNow> =>
  ask(api.PUT('/api/v1/lessons/{lesson_id}/groups/visited', { ...at(id), body: { number } }));

export const loadMessages = (id: string): Promise<ChatMessage[]> =>
  ask(api.GET('/api/v1/lessons/{lesson_id}/messages', at(id)));
export const writeMessage = (id: string, text: string, clientId: string): Promise<ChatMessage> =>
  ask(
    api.POST('/api/v1/lessons/{lesson_id}/messages', {
      ...at(id),
      body: { text, client_id: clientId },
    }),
  );
export const judgeMessage = (
  id: string,
  message: string,
  state: 'approved' | 'refused',
): Promise<ChatMessage> =>
  ask(
    api.PUT('/api/v1/lessons/{lesson_id}/messages/{message_id}', {
      params: { path: { lesson_id: id, message_id: message } },
      body: { state },
    }),
  );
export const holdChat = (id: string, held: boolean): Promise<unknown> =>
  ask(api.PUT('/api/v1/lessons/{lesson_id}/chat', { ...at(id), body: { held } }));

export const loadDeck = (id: string): Promise<Deck> =>
  ask(api.GET('/api/v1/lessons/{lesson_id}/slides', at(id)));
export const turnSlide = (id: string, page: number): Promise<SlideNow> =>
  ask(api.PUT('/api/v1/lessons/{lesson_id}/slide', { ...at(id), body: { page } }));

export const record = (id: string, on: boolean, audience: Audience | null): Promise<RoomNow> =>
  ask(api.PUT('/api/v1/lessons/{lesson_id}/recording', { ...at(id), body: { on, audience } }));
export const loadRecordingConsents = (id: string, audience: Audience): Promise<RecordingConsents> =>
  ask(
    api.GET('/api/v1/lessons/{lesson_id}/recording/consents', {
      params: { path: { lesson_id: id }, query: { audience } },
    }),
  );
export const loadRecording = (id: string): Promise<components['schemas']['Presentation']> =>
  ask(api.GET('/api/v1/lessons/{lesson_id}/recording', at(id)));
