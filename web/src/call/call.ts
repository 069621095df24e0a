/** The call of a visit: whoever joins publishes what he chose, and sees the other one. */

import type { JoinChoice, MediaTrouble } from './devices';
import { shape } from './layers';
import { LocalDevices } from './local';
import { Peers, type TransportState } from './peers';
import type { LinkWord } from './quality';
import type { DeviceKind, MediaKind, Offer, PeersMessage, TrackInfo } from './wire';

/** What the page shows of the call; a new object at each change. */
export interface CallView {
  choice: JoinChoice | null;
  joining: boolean;
  mic: boolean;
  camera: boolean;
  /** This person's screen is being shown. */
  screen: boolean;
  trouble: Partial<Record<DeviceKind, MediaTrouble>>;
  localVideo: MediaStreamTrack | null;
  remoteAudio: MediaStreamTrack | null;
  remoteVideo: MediaStreamTrack | null;
  remoteScreen: MediaStreamTrack | null;
  publish: TransportState;
  subscribe: TransportState;
  publishWord: LinkWord;
  subscribeWord: LinkWord;
  frozen: boolean;
  /** Pictures are being decoded now. */
  moving: boolean;
  framesDecoded: number;
  framesEncoded: number;
}

export type CallMessage =
  | PeersMessage
  | { type: 'media_ready'; audio: boolean; video: boolean; screen: boolean; resume: string[] }
  | { type: 'mute'; kind: MediaKind; muted: boolean };

export interface CallPlan {
  send: (message: CallMessage) => boolean;
  /** What the other side sends now, as the server knows it. */
  expects: () => { audio: boolean; video: boolean };
  hears?: (() => boolean) | undefined;
  silent?: (() => void) | undefined;
  onChange: (view: CallView) => void;
}

export class Call {
  readonly #plan: CallPlan;
  readonly #peers: Peers;
  readonly #local: LocalDevices;
  #choice: JoinChoice | null = null;
  #joining = false;
  #screen: MediaStreamTrack | null = null;

  constructor(plan: CallPlan) {
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
    this.#local = new LocalDevices((kind) => {
      plan.send({ type: 'mute', kind, muted: true });
      this.#changed();
    });
  }

  /** Transports that may live on through a lost link. */
  get alive(): string[] {
    return this.#peers.alive;
  }

  get view(): CallView {
    const peers = this.#peers;
    return {
      choice: this.#choice,
      joining: this.#joining,
      mic: this.#local.mic,
      camera: this.#local.camera,
      screen: this.#screen !== null,
      trouble: this.#local.trouble,
      localVideo: this.#local.videoTrack,
      remoteAudio: peers.remote(({ kind }) => kind === 'audio'),
      remoteVideo: peers.remote(({ kind }) => kind === 'video'),
      remoteScreen: peers.remote(({ kind }) => kind === 'screen'),
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

  /** Join with camera, with voice alone, or only listening. Joins also when a device is refused. */
  async join(choice: JoinChoice): Promise<void> {
    if (this.#joining) return;
    this.#joining = true;
    this.#changed();
    await this.#local.open(choice);
    // Left, or the visit closed, while the browser was still asking.
    if (!this.#joining) return;
    this.#choice = choice;
    this.#joining = false;
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
    if (this.#choice === null) return;
    const { has, muted } = this.#local;
    const screen = 'getDisplayMedia' in navigator.mediaDevices;
    // Before the rest: whoever shows nothing needs no place to show it in.
    if (screen) this.#tellScreen();
    this.#plan.send({ type: 'media_ready', ...has, screen, resume: keep });
    // The server remembers what an earlier page of this person had muted.
    for (const kind of ['audio', 'video'] as const) {
      if (has[kind]) this.#plan.send({ type: 'mute', kind, muted: muted.includes(kind) });
    }
  }

  leave(): void {
    this.#joining = false;
    this.#choice = null;
    this.#local.release();
    this.#screen?.stop();
    this.#screen = null;
    this.#peers.stop();
    this.#changed();
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

  /** Silence or unmute the microphone; opens it when there was none. */
  async toggleMic(): Promise<void> {
    if (this.#choice === null) return;
    if (!this.#local.has.audio) {
      await this.#openMore('audio');
      return;
    }
    this.#local.toggleMic();
    this.#plan.send({ type: 'mute', kind: 'audio', muted: !this.#local.mic });
    this.#changed();
  }

  /** Switch the camera off or on; opens it when there was none. */
  async toggleCamera(): Promise<void> {
    if (this.#choice === null) return;
    if (!this.#local.has.video) {
      await this.#openMore('video');
      return;
    }
    if (this.#local.camera) this.#local.cameraOff();
    else if (!(await this.#local.openOne('video'))) {
      this.#changed();
      return;
    }
    await this.#place('video', this.#local.videoTrack);
    this.#plan.send({ type: 'mute', kind: 'video', muted: !this.#local.camera });
    this.#changed();
  }

  /** Show a screen beside the camera, or none any more; its place in the connection is kept. */
  async showScreen(track: MediaStreamTrack | null): Promise<void> {
    if (this.#choice === null) {
      track?.stop();
      return;
    }
    this.#screen?.stop();
    this.#screen = track;
    // The browser has its own button to stop.
    track?.addEventListener('ended', () => {
      if (this.#screen === track) void this.showScreen(null);
    });
    await this.#place('screen', track);
    this.#tellScreen();
    this.#changed();
  }

  #tellScreen(): void {
    this.#plan.send({ type: 'mute', kind: 'screen', muted: this.#screen === null });
  }

  async #place(kind: MediaKind, track: MediaStreamTrack | null): Promise<void> {
    const publishing = this.#peers.publishing;
    if (publishing === null) return;
    const section = sectionOf(publishing.peer, publishing.tracks, kind);
    await section?.sender.replaceTrack(track);
  }

  /** What is here is answered as sent, also while it is off: it may come back without an offer. */
  async #attach(peer: RTCPeerConnection, tracks: readonly TrackInfo[]): Promise<void> {
    const { audioTrack, videoTrack, has } = this.#local;
    const ours = { audio: audioTrack, video: videoTrack, screen: this.#screen };
    for (const { kind } of tracks) {
      const section = sectionOf(peer, tracks, kind);
      if (section === undefined || (kind !== 'screen' && !has[kind])) continue;
      section.direction = 'sendonly';
      await section.sender.replaceTrack(ours[kind]);
      if (kind === 'video') await shape(section.sender, () => undefined);
    }
  }

  /** A device that was not asked for at first, now wanted: the call forms anew with it. */
  async #openMore(kind: DeviceKind): Promise<void> {
    if (await this.#local.openOne(kind)) {
      this.#choice = this.#local.has.video ? 'camera' : 'audio';
      this.ready();
    }
    this.#changed();
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
