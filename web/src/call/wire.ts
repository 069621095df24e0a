/** What a call and a room's server say to each other, the same in a visit and in a lesson. */

import type { MediaReport } from './quality';

/** A person's own devices. */
export type DeviceKind = 'audio' | 'video';
/** What may be sent: a screen is a picture of its own beside the camera's. */
export type MediaKind = DeviceKind | 'screen';
export type Direction = 'publish' | 'subscribe';

/** Which member's track the m-line `mid` carries. */
export interface TrackInfo {
  mid: string;
  kind: MediaKind;
  member: string;
}

/** An empty `sdp` asks for this page's own offer; what the server answers to it is a `reply`. */
export interface Offer {
  transport: string;
  direction: Direction;
  sdp: string;
  tracks: TrackInfo[];
  reply?: boolean;
}

/** What every connection says, whoever publishes what. */
export type PeersMessage =
  | { type: 'answer'; transport: string; sdp: string }
  | { type: 'restart'; transport: string }
  | MediaReport;
