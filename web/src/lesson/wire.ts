/** Everything the lesson's socket can say, on one page: text frames are JSON tagged by `type`. */

import type { components } from '../api/schema';
import { readerOf } from '../live/messages';

type Schemas = components['schemas'];

/** What is the same for everybody in the lesson; always told whole. */
export type RoomNow = Schemas['LessonRoom'];
export type RecordingNow = Schemas['RecordingNow'];
export type Audience = NonNullable<RecordingNow['audience']>;
export type RecordingConsents = Schemas['RecordingConsents'];
export type SlideNow = Schemas['SlideNow'];
export type GroupsNow = Schemas['GroupsNow'];
export type NewGroups = Schemas['NewGroups'];
export type Member = Schemas['MemberState'];
export type ChatMessage = Schemas['ChatMessage'];
export type ServerMessage = Schemas['LessonServerMessage'];
export type ClientMessage = Schemas['LessonPageMessage'];

export const readMessage = readerOf<ServerMessage>([
  'lesson_welcome',
  'presence',
  'offer',
  'media_away',
  'media_back',
  'media_words',
  'speaking',
  'media_step',
  'lesson',
  'slide',
  'chat',
  'stores_away',
  'stores_back',
  'way_back',
  'pong',
  'problem',
  'signed_out',
]);
