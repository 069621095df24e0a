/**
 * Everything the visit socket can say, on one page: text frames are JSON tagged by `type`,
 * binary frames are ECG (see ecg/frames.ts).
 */

export type Side = 'doctor' | 'patient';
export type MediaKind = 'audio' | 'video';
export type Direction = 'publish' | 'subscribe';
export type Quality = 'good' | 'noisy' | 'unusable' | 'lead_off' | 'no_signal';
export type VisitState = 'booked' | 'open' | 'closed';

export interface Member {
  id: string;
  name: string;
  side: Side;
  online: boolean;
  audio: boolean;
  video: boolean;
}

export interface DeviceName {
  id: string;
  name: string;
}

/** One recording of one electrode pair; mV = (sample - baseline) / gain_per_mv. */
export interface EcgStreamInfo {
  stream: string;
  device: DeviceName;
  lead: string;
  rate_hz: number;
  gain_per_mv: number;
  baseline: number;
  started_at: string;
  last_sequence: number;
  frames: number;
}

/** A stored measurement: `values` in canonical units, `sent_values` as the device or the person gave them. */
export interface Reading {
  id: string;
  kind: string;
  sequence: number;
  taken_at: string;
  received_at: string;
  values: Record<string, number>;
  unit: string;
  sent_values: Record<string, number>;
  sent_unit: string;
  device: DeviceName | null;
  flags: string[];
}

export interface Vitals {
  stream: string;
  heart_rate_bpm: number | null;
  quality: Quality;
  reason: string | null;
  at: string;
}

export interface TrackInfo {
  mid: string;
  kind: MediaKind;
  member: string;
}

export interface Offer {
  type: 'offer';
  transport: string;
  direction: Direction;
  sdp: string;
  tracks: TrackInfo[];
}

export type ServerMessage =
  | {
      type: 'welcome';
      you: string;
      members: Member[];
      streams: EcgStreamInfo[];
      server_time: string;
    }
  | { type: 'presence'; members: Member[] }
  | Offer
  | { type: 'media_away' }
  | { type: 'media_back' }
  | { type: 'reading'; reading: Reading }
  | { type: 'ecg_stream'; stream: EcgStreamInfo }
  | ({ type: 'vitals' } & Vitals)
  | { type: 'stores_away' }
  | { type: 'stores_back' }
  | { type: 'visit'; state: VisitState }
  | { type: 'pong'; n: number }
  | { type: 'problem'; code: string }
  | { type: 'signed_out' };

export type ClientMessage =
  | { type: 'hello'; ticket: string; tab: string; resume: string[] }
  | { type: 'media_ready'; audio: boolean; video: boolean }
  | { type: 'answer'; transport: string; sdp: string }
  | { type: 'restart'; transport: string }
  | { type: 'mute'; kind: MediaKind; muted: boolean }
  | { type: 'ping'; n: number };

const KNOWN: ReadonlySet<string> = new Set<ServerMessage['type']>([
  'welcome',
  'presence',
  'offer',
  'media_away',
  'media_back',
  'reading',
  'ecg_stream',
  'vitals',
  'stores_away',
  'stores_back',
  'visit',
  'pong',
  'problem',
  'signed_out',
]);

/**
 * A server message, or null for anything unreadable or of a type this page does not know:
 * a newer server may say more than an open tab understands, and that must not break the visit.
 */
export function parseMessage(text: string): ServerMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('type' in value)) return null;
  if (typeof value.type !== 'string' || !KNOWN.has(value.type)) return null;
  return value as ServerMessage;
}
