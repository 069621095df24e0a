/**
 * Everything the visit socket can say, on one page: text frames are JSON tagged by `type`,
 * binary frames are ECG (see ecg/frames.ts).
 */

import type { components } from '../api/schema';
import { readerOf } from '../live/messages';

type Schemas = components['schemas'];

export type Side = Schemas['MemberState']['side'];
export type Quality = Schemas['Quality'];
export type VisitState = Schemas['VisitState'];
export type Member = Schemas['MemberState'];
export type DeviceName = Schemas['Ref'];
/** One recording of one electrode pair; mV = (sample - baseline) / gain_per_mv. */
export type EcgStreamInfo = Schemas['EcgStreamInfo'];
/**
 * A measurement: `values` in canonical units, `sent_values` as the device or the person gave them.
 * Of a kind that may be newer than this page; without a device while it is only here.
 */
export type Reading = Omit<Schemas['Reading'], 'kind' | 'device'> & {
  kind: string;
  device: DeviceName | null;
};
/** An older server says nothing of the rhythm. */
export type Vitals = Omit<Schemas['Vitals'], 'type' | 'rhythm'> & { rhythm?: string | null };
export type ServerMessage = Schemas['VisitServerMessage'];
/** A visit joins whole. */
type Plain<Message> = Message extends { type: 'media_ready' }
  ? Omit<Message, 'resume'> & Partial<Message>
  : Message;
export type ClientMessage = Plain<Schemas['VisitPageMessage']>;

export const readMessage = readerOf<ServerMessage>([
  'welcome',
  'presence',
  'offer',
  'media_away',
  'media_back',
  'media_words',
  'speaking',
  'media_step',
  'reading',
  'ecg_stream',
  'vitals',
  'ecg_beats',
  'ecg_strips',
  'stores_away',
  'stores_back',
  'files',
  'visit',
  'way_back',
  'pong',
  'problem',
  'signed_out',
]);
