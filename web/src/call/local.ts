/** This person's microphone and camera: open, silent, off, gone. */

import type { DeviceKind } from './wire';
import {
  NOTHING,
  VIDEO,
  openMedia,
  openOne,
  type JoinChoice,
  type LocalMedia,
  type MediaTrouble,
} from './devices';

export class LocalDevices {
  #media: LocalMedia = NOTHING;
  #micWanted = true;
  #cameraWanted = true;
  /** Grows with each release: what the browser grants only then is not wanted any more. */
  #released = 0;
  readonly #onLost: (kind: DeviceKind) => void;
  readonly #video: MediaTrackConstraints;

  /** `onLost`: a device ended by itself, say a camera pulled out. */
  constructor(onLost: (kind: DeviceKind) => void, video: MediaTrackConstraints = VIDEO) {
    this.#onLost = onLost;
    this.#video = video;
  }

  get has(): Record<DeviceKind, boolean> {
    return { audio: this.#media.audio !== null, video: this.#media.video !== null };
  }

  get trouble(): LocalMedia['trouble'] {
    return this.#media.trouble;
  }

  get mic(): boolean {
    return this.#media.audio !== null && this.#micWanted;
  }

  get camera(): boolean {
    return this.#media.video !== null && this.#cameraWanted;
  }

  /** There, and silenced or switched off by the person. */
  get muted(): DeviceKind[] {
    const { audio, video } = this.has;
    const kinds: DeviceKind[] = [];
    if (audio && !this.#micWanted) kinds.push('audio');
    if (video && !this.#cameraWanted) kinds.push('video');
    return kinds;
  }

  get audioTrack(): MediaStreamTrack | null {
    return this.#media.audio;
  }

  /** The picture that is sent: null while the camera is off. */
  get videoTrack(): MediaStreamTrack | null {
    return this.#cameraWanted ? this.#media.video : null;
  }

  async open(choice: JoinChoice): Promise<void> {
    this.release();
    const asked = this.#released;
    const media = await openMedia(choice, this.#video);
    if (asked !== this.#released) {
      stop(media);
      return;
    }
    this.#media = media;
    this.#watch();
  }

  /** One more device in the middle of a call; false when there is none to be had. */
  async openOne(kind: DeviceKind): Promise<boolean> {
    const asked = this.#released;
    const { track, trouble } = await openOne(kind, this.#video);
    if (asked !== this.#released) {
      track?.stop();
      return false;
    }
    if (track === null) {
      this.#say(kind, trouble);
      return false;
    }
    const others = { ...this.#media.trouble };
    delete others[kind];
    this.#media = { ...this.#media, [kind]: track, trouble: others };
    if (kind === 'audio') this.#micWanted = true;
    else this.#cameraWanted = true;
    this.#watch();
    return true;
  }

  /** The microphone stays open and sends silence: unmuting must be immediate. */
  toggleMic(): void {
    this.#micWanted = !this.#micWanted;
    if (this.#media.audio !== null) this.#media.audio.enabled = this.#micWanted;
  }

  /** Camera off puts its light out: the track is stopped, not blackened. */
  cameraOff(): void {
    this.#cameraWanted = false;
    this.#media.video?.stop();
  }

  release(): void {
    this.#released += 1;
    stop(this.#media);
    this.#media = NOTHING;
    this.#micWanted = true;
    this.#cameraWanted = true;
  }

  #watch(): void {
    for (const kind of ['audio', 'video'] as const) {
      const track = this.#media[kind];
      if (track === null) continue;
      track.onended = () => {
        if (this.#media[kind] !== track) return;
        this.#media = { ...this.#media, [kind]: null };
        this.#say(kind, 'absent');
        this.#onLost(kind);
      };
    }
  }

  #say(kind: DeviceKind, trouble: MediaTrouble | null): void {
    this.#media = {
      ...this.#media,
      trouble: { ...this.#media.trouble, [kind]: trouble ?? 'failed' },
    };
  }
}

function stop({ audio, video }: LocalMedia): void {
  audio?.stop();
  video?.stop();
}
