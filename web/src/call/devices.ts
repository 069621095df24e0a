/** Camera and microphone: asked for only what the person chose, with a plain reason when there is none. */

import type { DeviceKind } from './wire';

/** How a person joins; `listen` asks the browser for nothing at all. */
export type JoinChoice = 'camera' | 'audio' | 'listen';

/** Why a kind is not there: each has a sentence and a way on. */
export type MediaTrouble = 'denied' | 'absent' | 'busy' | 'failed';

export interface LocalMedia {
  audio: MediaStreamTrack | null;
  video: MediaStreamTrack | null;
  trouble: Partial<Record<DeviceKind, MediaTrouble>>;
}

export const NOTHING: LocalMedia = { audio: null, video: null, trouble: {} };

const AUDIO: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};
export const VIDEO: MediaTrackConstraints = {
  width: { ideal: 640 },
  height: { ideal: 480 },
  frameRate: { ideal: 24, max: 30 },
  facingMode: 'user',
};
/** One picture for a whole class, on tablets too. */
export const CLASS_VIDEO: MediaTrackConstraints = {
  width: { ideal: 960 },
  height: { ideal: 540 },
  frameRate: { ideal: 24, max: 30 },
  facingMode: 'user',
};

/** Calls are possible here: browsers give no camera to a page from plain HTTP on another machine. */
export function callsPossible(): boolean {
  return (
    window.isSecureContext &&
    typeof RTCPeerConnection === 'function' &&
    // Old and plain-HTTP browsers lack it, whatever the type says.
    (navigator.mediaDevices as MediaDevices | undefined) !== undefined
  );
}

/** The names browsers give, in our words. */
export function troubleOf(error: unknown): MediaTrouble {
  switch ((error as { name?: unknown } | null)?.name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return 'denied';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'absent';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    default:
      return 'failed';
  }
}

/** What a choice asks of the browser. */
export function asksFor(choice: JoinChoice): Record<DeviceKind, boolean> {
  return { audio: choice !== 'listen', video: choice === 'camera' };
}

async function one(kind: DeviceKind, video: MediaTrackConstraints): Promise<MediaStreamTrack> {
  const stream = await navigator.mediaDevices.getUserMedia(
    kind === 'audio' ? { audio: AUDIO } : { video },
  );
  const track = stream.getTracks()[0];
  if (track === undefined) throw new DOMException('no track', 'NotFoundError');
  return track;
}

/** One kind, with its trouble instead of an error. */
export async function openOne(
  kind: DeviceKind,
  video: MediaTrackConstraints = VIDEO,
): Promise<{ track: MediaStreamTrack | null; trouble: MediaTrouble | null }> {
  try {
    return { track: await one(kind, video), trouble: null };
  } catch (error) {
    return { track: null, trouble: troubleOf(error) };
  }
}

/**
 * Camera and microphone by choice: together, so that the browser asks once; when that fails each
 * alone, because a missing camera must not cost the voice.
 */
export async function openMedia(
  choice: JoinChoice,
  video: MediaTrackConstraints = VIDEO,
): Promise<LocalMedia> {
  const wanted = asksFor(choice);
  if (!wanted.audio && !wanted.video) return NOTHING;
  if (wanted.audio && wanted.video) {
    try {
      const both = await navigator.mediaDevices.getUserMedia({ audio: AUDIO, video });
      return {
        audio: both.getAudioTracks()[0] ?? null,
        video: both.getVideoTracks()[0] ?? null,
        trouble: {},
      };
    } catch {
      // Each alone says which of the two it was.
    }
  }
  const media: LocalMedia = { audio: null, video: null, trouble: {} };
  for (const kind of ['audio', 'video'] as const) {
    if (!wanted[kind]) continue;
    const { track, trouble } = await openOne(kind, video);
    media[kind] = track;
    if (trouble !== null) media.trouble[kind] = trouble;
  }
  return media;
}
