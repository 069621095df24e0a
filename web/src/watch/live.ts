/** Watching while the lesson goes on: by hls.js, or by the browser itself where it alone can. */

import type Hls from 'hls.js';
import type { HlsConfig } from 'hls.js';

/** As the recorder writes: H264 with its parameters in the stream, and Opus. */
const CODECS = 'video/mp4; codecs="avc3.42e028,opus"';
const NATIVE = 'application/vnd.apple.mpegurl';

/** So far behind the newest piece the player tries to be; it steps back by itself when it stalls. */
export const BEHIND_S = 4;
/** Further behind than so, a person has gone back and may want to return. */
const EDGE_WITHIN_S = 8;
/** A picture paused so long asks for nothing: a forgotten page must not keep a session alive. */
const REST_AFTER_MS = 60_000;
const MEND_ONCE_IN_MS = 5_000;

const CONFIG: Partial<HlsConfig> = {
  // Its worker would be a blob, which our Content-Security-Policy refuses.
  enableWorker: false,
  lowLatencyMode: false,
  liveSyncDuration: BEHIND_S,
  maxLiveSyncPlaybackRate: 1.1,
  backBufferLength: 60,
};

export type Way = 'hls' | 'native' | 'none';

interface Sources {
  MediaSource?: typeof MediaSource;
  ManagedMediaSource?: typeof MediaSource;
}

/** How this browser can play it. Chromium says “maybe” to HLS by itself and plays nothing. */
export function wayToPlay(video: HTMLVideoElement): Way {
  const { MediaSource: plain, ManagedMediaSource: managed } = window as Sources;
  if ((managed ?? plain)?.isTypeSupported(CODECS)) return 'hls';
  return video.canPlayType(NATIVE) === '' ? 'none' : 'native';
}

export interface LiveEvents {
  /** The player cannot go on by itself; `mend` tries again when the server is there. */
  onbroken: () => void;
  /** Pieces come again after a failure. */
  onflow: () => void;
}

/** What is shown now against what is happening now. */
export interface LiveNow {
  /** When the shown picture was recorded, by the recorder's clock; null before there is one. */
  shownAtMs: number | null;
  atEdge: boolean;
}

export interface Live {
  now: () => LiveNow;
  toEdge: () => void;
  /** Asks for the next piece at once, without the pauses between failures. */
  hurry: () => void;
  mend: () => void;
  destroy: () => void;
}

const edgeOf = (video: HTMLVideoElement): number =>
  video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : 0;

/** Plays by the browser itself: Safari on phones. */
export function playNatively(video: HTMLVideoElement, url: string, events: LiveEvents): Live {
  const dated = video as HTMLVideoElement & { getStartDate?: () => Date };
  const broken = (): void => events.onbroken();
  const flow = (): void => events.onflow();
  video.addEventListener('error', broken);
  video.addEventListener('playing', flow);
  video.src = url;
  const target = (): number => Math.max(0, edgeOf(video) - BEHIND_S);
  return {
    now: () => {
      const start = dated.getStartDate?.().getTime() ?? Number.NaN;
      return {
        shownAtMs: Number.isNaN(start) ? null : start + video.currentTime * 1_000,
        atEdge: target() - video.currentTime < EDGE_WITHIN_S,
      };
    },
    toEdge: () => (video.currentTime = target()),
    hurry: () => {}, // The browser keeps its own times.
    mend: () => video.load(),
    destroy: () => {
      video.removeEventListener('error', broken);
      video.removeEventListener('playing', flow);
      video.removeAttribute('src');
      video.load();
    },
  };
}

/** Plays by hls.js, given by the caller: it is large and fetched only for this. */
export function playByHls(
  Player: typeof Hls,
  video: HTMLVideoElement,
  url: string,
  events: LiveEvents,
): Live {
  const { Events, ErrorTypes } = Player;
  let mended = -MEND_ONCE_IN_MS;
  let resting = false;
  let rest: ReturnType<typeof setTimeout> | undefined;
  let hls = start();

  function start(at = -1): Hls {
    const player = new Player({ ...CONFIG, startPosition: at });
    player.on(Events.ERROR, (_name, { fatal, type }) => {
      if (!fatal) return;
      const now = performance.now();
      // A second failure so soon is not mended by the same means.
      if (type === ErrorTypes.MEDIA_ERROR && now - mended > MEND_ONCE_IN_MS) {
        mended = now;
        player.recoverMediaError();
      } else {
        events.onbroken();
      }
    });
    player.on(Events.FRAG_BUFFERED, () => events.onflow());
    player.loadSource(url);
    player.attachMedia(video);
    return player;
  }

  const paused = (): void => {
    clearTimeout(rest);
    rest = setTimeout(() => {
      resting = true;
      hls.stopLoad();
    }, REST_AFTER_MS);
  };
  const resumed = (): void => {
    clearTimeout(rest);
    // Only after a rest: the player starts by itself, and a second start would break off the first.
    if (resting) hls.startLoad();
    resting = false;
  };
  video.addEventListener('pause', paused);
  video.addEventListener('play', resumed);

  return {
    now: () => ({
      shownAtMs: hls.playingDate?.getTime() ?? null,
      atEdge: (hls.liveSyncPosition ?? 0) - video.currentTime < EDGE_WITHIN_S,
    }),
    toEdge: () => {
      const target = hls.liveSyncPosition;
      if (target !== null) video.currentTime = target;
    },
    hurry: () => hls.startLoad(),
    // A new player in the old one's place: whatever was wrong with that one is gone with it.
    mend: () => {
      const at = video.currentTime > 0 ? video.currentTime : -1;
      hls.destroy();
      hls = start(at);
    },
    destroy: () => {
      clearTimeout(rest);
      video.removeEventListener('pause', paused);
      video.removeEventListener('play', resumed);
      hls.destroy();
    },
  };
}
