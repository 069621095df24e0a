/** Showing the screen: the browser asks which window, and the person may say no. */

import { troubleOf, type MediaTrouble } from './devices';

/** Text must be legible and move little: many points, few pictures a second. */
const SCREEN: MediaTrackConstraints = {
  width: { max: 1920 },
  height: { max: 1080 },
  frameRate: { ideal: 10, max: 15 },
};

/** Phones show no screens; nor does a page from plain HTTP on another machine. */
export function screenPossible(): boolean {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  return typeof devices?.getDisplayMedia === 'function';
}

export async function openScreen(): Promise<
  { track: MediaStreamTrack; trouble: null } | { track: null; trouble: MediaTrouble }
> {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: SCREEN, audio: false });
    const [track] = stream.getVideoTracks();
    if (track === undefined) return { track: null, trouble: 'failed' };
    track.contentHint = 'detail';
    return { track, trouble: null };
  } catch (error) {
    return { track: null, trouble: troubleOf(error) };
  }
}

/** Whether this browser can send H264, the one codec every recording and phone takes. */
export function sendsH264(): boolean {
  return hasH264((globalThis as { RTCRtpSender?: typeof RTCRtpSender }).RTCRtpSender);
}

export function receivesH264(): boolean {
  return hasH264((globalThis as { RTCRtpReceiver?: typeof RTCRtpReceiver }).RTCRtpReceiver);
}

function hasH264(side: typeof RTCRtpSender | typeof RTCRtpReceiver | undefined): boolean {
  // A browser that does not say is believed.
  if (typeof side?.getCapabilities !== 'function') return side !== undefined;
  const codecs = side.getCapabilities('video')?.codecs ?? [];
  return codecs.some(({ mimeType }) => mimeType.toLowerCase() === 'video/h264');
}
