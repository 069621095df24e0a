/**
 * The media of a lesson. What a person may ever send has its place in the connection from the
 * start, so that a camera, a screen or a voice comes and goes without a word to anybody else:
 * here the track is put in or taken out, and the server is told whether something is sent.
 */

import { CLASS_VIDEO, type JoinChoice, type MediaTrouble } from '../call/devices';
import { bound, inLayers, shape, type Cap } from '../call/layers';
import { LocalDevices } from '../call/local';
import { Peers, type TransportState } from '../call/peers';
import type { LinkWord } from '../call/quality';
import { openScreen } from '../call/screen';
import type { MediaKind, Offer, PeersMessage, TrackInfo } from '../call/wire';

/** The place in which whoever is not the teacher is seen and heard. */
const FLOOR = 'floor';

/** Enough for a legible face and a legible page; thirty phones must take it. */
const CAPS: Partial<Record<MediaKind, Cap>> = {
  video: { maxBitrate: 900_000, maxFramerate: 24, scaleResolutionDownBy: 1 },
  screen: { maxBitrate: 1_500_000 },
};
/** Beside slides or a screen the face is a small picture: a third of the work for every phone. */
const BESIDE: Cap = {
  maxBitrate: 400_000,
  maxFramerate: 15,
  scaleResolutionDownBy: 1.5,
};

export type Remote = 'voice' | 'camera' | 'screen' | 'floorVoice' | 'floorCamera';

/** Somebody in the same group, and what of him arrives here. */
export interface Other {
  member: string;
  voice: MediaStreamTrack | null;
  camera: MediaStreamTrack | null;
  screen: MediaStreamTrack | null;
}

/** What the page shows of the call; a new object at each change. */
export interface LessonCallView {
  joined: boolean;
  /** The browser is asking the person for a device. */
  asking: boolean;
  mic: boolean;
  camera: boolean;
  screen: boolean;
  trouble: Partial<Record<MediaKind, MediaTrouble>>;
  localAudio: MediaStreamTrack | null;
  localVideo: MediaStreamTrack | null;
  localScreen: MediaStreamTrack | null;
  remote: Record<Remote, MediaStreamTrack | null>;
  /** In a group everybody is heard as himself. */
  others: readonly Other[];
  publish: TransportState;
  subscribe: TransportState;
  publishWord: LinkWord;
  subscribeWord: LinkWord;
  frozen: boolean;
  moving: boolean;
  framesDecoded: number;
  framesEncoded: number;
}

export type LessonCallMessage =
  | PeersMessage
  | {
      type: 'media_ready';
      audio: boolean;
      video: boolean;
      screen: boolean;
      resume: string[];
    }
  | { type: 'mute'; kind: MediaKind; muted: boolean };

export interface LessonCallPlan {
  send: (message: LessonCallMessage) => boolean;
  /** Kinds this person may ever send here. */
  may: () => readonly MediaKind[];
  expects: () => { audio: boolean; video: boolean };
  hears?: (() => boolean) | undefined;
  silent?: (() => void) | undefined;
  onChange: (view: LessonCallView) => void;
}

export class LessonCall {
  readonly #plan: LessonCallPlan;
  readonly #peers: Peers;
  readonly #local: LocalDevices;
  #joined = false;
  #asking = false;
  #screen: MediaStreamTrack | null = null;
  #screenTrouble: MediaTrouble | null = null;
  #beside = false;

  constructor(plan: LessonCallPlan) {
    this.#plan = plan;
    this.#peers = new Peers({
      send: plan.send,
      rejoin: () => this.ready(this.#peers.healthy()),
      attach: (peer, tracks) => this.#attach(peer, tracks),
      expects: plan.expects,
      hears: plan.hears,
      silent: plan.silent,
      onChange: () => this.#changed(),
    });
    this.#local = new LocalDevices((kind) => void this.#place(kind), CLASS_VIDEO);
  }

  get alive(): string[] {
    return this.#peers.alive;
  }

  get view(): LessonCallView {
    const peers = this.#peers;
    const remote = (kind: MediaKind, floor: boolean): MediaStreamTrack | null =>
      peers.remote((track) => track.kind === kind && (track.member === FLOOR) === floor);
    return {
      joined: this.#joined,
      asking: this.#asking,
      mic: this.#local.mic,
      camera: this.#local.camera,
      screen: this.#screen !== null,
      trouble: {
        ...this.#local.trouble,
        ...(this.#screenTrouble === null ? {} : { screen: this.#screenTrouble }),
      },
      localAudio: this.#local.audioTrack,
      localVideo: this.#local.videoTrack,
      localScreen: this.#screen,
      remote: {
        voice: remote('audio', false),
        camera: remote('video', false),
        screen: remote('screen', false),
        floorVoice: remote('audio', true),
        floorCamera: remote('video', true),
      },
      others: peers.members.map((member) => {
        const of = (kind: MediaKind): MediaStreamTrack | null =>
          peers.remote((track) => track.member === member && track.kind === kind);
        return { member, voice: of('audio'), camera: of('video'), screen: of('screen') };
      }),
      publish: peers.stateOf('publish'),
      subscribe: peers.stateOf('subscribe'),
      publishWord: peers.words.publish,
      subscribeWord: peers.words.subscribe,
      frozen: peers.frozen,
      moving: peers.moving,
      framesDecoded: peers.framesDecoded,
      framesEncoded: peers.framesEncoded,
    };
  }

  /** Open camera and microphone, to look at oneself before the class does. */
  async open(choice: JoinChoice): Promise<void> {
    await this.#ask(() => this.#local.open(choice));
    for (const kind of ['audio', 'video'] as const) await this.#place(kind);
  }

  /** Join with what is open; nothing is asked for. */
  join(): void {
    this.#joined = true;
    this.#peers.start();
    this.ready();
    this.#changed();
  }

  /**
   * Say again that this page wants media: after joining, and on every new link. Connections named
   * in `keep` are well and go on; the others are offered anew.
   */
  ready(keep: string[] = []): void {
    this.#peers.linkUp();
    if (!this.#joined) return;
    const may = this.#plan.may();
    this.#plan.send({
      type: 'media_ready',
      audio: may.includes('audio'),
      video: may.includes('video'),
      screen: may.includes('screen'),
      resume: keep,
    });
    for (const kind of may) this.#tell(kind);
  }

  leave(): void {
    this.#joined = false;
    this.#closeScreen();
    this.#screenTrouble = null;
    this.#local.release();
    this.#peers.stop();
    this.#changed();
  }

  /** Seated in another room of the lesson: every connection is made anew there. */
  moved(devicesOff: boolean): void {
    if (devicesOff) this.#local.release();
    if (!this.#joined) return;
    this.#peers.stop();
    this.#peers.start();
    this.ready();
    this.#changed();
  }

  /** The floor is somebody else's: devices off, nothing is sent any more. */
  silence(): void {
    const had = this.#local.has;
    this.#local.release();
    this.#peers.end('publish');
    if (had.audio) this.#tell('audio');
    if (had.video) this.#tell('video');
    this.#changed();
  }

  /** Whether the camera's picture stands small beside something else in the class. */
  async stand(beside: boolean): Promise<void> {
    if (this.#beside === beside) return;
    this.#beside = beside;
    const publishing = this.#peers.publishing;
    if (publishing === null) return;
    const section = sectionOf(publishing.peer, publishing.tracks, 'video');
    if (section !== undefined) await cap(section, this.#cap('video'));
  }

  #cap(kind: MediaKind): Cap | undefined {
    return kind === 'video' && this.#beside ? BESIDE : CAPS[kind];
  }

  linkDown(): void {
    this.#peers.linkDown();
  }

  mediaAway(): void {
    this.#peers.mediaAway();
  }

  mediaBack(): void {
    this.#peers.mediaBack();
  }

  offer(offer: Offer): void {
    this.#peers.offer(offer);
  }

  /** Silence or unmute the microphone; opens it when there is none. */
  async toggleMic(): Promise<void> {
    if (this.#local.has.audio) this.#local.toggleMic();
    else await this.#ask(() => this.#local.openOne('audio'));
    await this.#place('audio');
  }

  /** Switch the camera off or on; opens it when there is none. */
  async toggleCamera(): Promise<void> {
    if (this.#local.camera) this.#local.cameraOff();
    else await this.#ask(() => this.#local.openOne('video'));
    await this.#place('video');
  }

  /** Show the screen or stop showing it; the browser asks which one. */
  async toggleScreen(): Promise<void> {
    if (this.#screen === null) {
      const { track, trouble } = await this.#ask(openScreen);
      this.#screenTrouble = trouble;
      this.#screen = track;
      // The browser has its own button to stop.
      if (track !== null) track.onended = () => void this.#screenEnded(track);
    } else {
      this.#closeScreen();
    }
    await this.#place('screen');
  }

  async #screenEnded(track: MediaStreamTrack): Promise<void> {
    if (this.#screen !== track) return;
    this.#screen = null;
    await this.#place('screen');
  }

  #closeScreen(): void {
    const track = this.#screen;
    this.#screen = null;
    track?.stop();
  }

  async #ask<T>(open: () => Promise<T>): Promise<T> {
    this.#asking = true;
    this.#changed();
    try {
      return await open();
    } finally {
      this.#asking = false;
      this.#changed();
    }
  }

  #trackOf(kind: MediaKind): MediaStreamTrack | null {
    // A silenced microphone sends nothing at all: no packet is the only silence a room can trust.
    if (kind === 'audio') return this.#local.mic ? this.#local.audioTrack : null;
    return kind === 'video' ? this.#local.videoTrack : this.#screen;
  }

  /** Tell the server whether a kind is being sent. */
  #tell(kind: MediaKind): void {
    if (!this.#joined || !this.#plan.may().includes(kind)) return;
    this.#plan.send({ type: 'mute', kind, muted: this.#trackOf(kind) === null });
  }

  /** Put the present track of a kind into its section, or take it out, and tell. */
  async #place(kind: MediaKind): Promise<void> {
    const publishing = this.#peers.publishing;
    if (publishing !== null) {
      const section = sectionOf(publishing.peer, publishing.tracks, kind);
      if (section !== undefined) await put(section, this.#trackOf(kind), this.#cap(kind));
      // A connection made without a place for it is made anew.
      else if (this.#trackOf(kind) !== null) this.ready(this.#peers.healthy('subscribe'));
    }
    this.#tell(kind);
    this.#changed();
  }

  /** Every offered section is answered as one that sends, with a track or without. */
  async #attach(peer: RTCPeerConnection, tracks: readonly TrackInfo[]): Promise<void> {
    for (const { kind } of tracks) {
      const section = sectionOf(peer, tracks, kind);
      if (section === undefined) continue;
      section.direction = 'sendonly';
      await put(section, this.#trackOf(kind), this.#cap(kind));
    }
  }

  #changed(): void {
    this.#plan.onChange(this.view);
  }
}

function sectionOf(
  peer: RTCPeerConnection,
  tracks: readonly TrackInfo[],
  kind: MediaKind,
): RTCRtpTransceiver | undefined {
  const mid = tracks.find((track) => track.kind === kind)?.mid;
  return peer.getTransceivers().find((section) => section.mid === mid);
}

async function put(
  section: RTCRtpTransceiver,
  track: MediaStreamTrack | null,
  most: Cap | undefined,
): Promise<void> {
  await section.sender.replaceTrack(track);
  await cap(section, most);
}

async function cap({ sender }: RTCRtpTransceiver, most: Cap | undefined): Promise<void> {
  if (most === undefined) return;
  const layered = inLayers(sender.track?.getSettings() ?? {}, navigator);
  await shape(sender, (encodings) => bound(encodings, most, layered), most !== CAPS.screen);
}
