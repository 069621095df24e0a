/**
 * The call: one RTCPeerConnection to publish, one to subscribe. The server always offers; this side
 * answers, asks for ICE restarts and keeps the call together through lost links.
 */

import type { ClientMessage, Direction, MediaKind, Offer, TrackInfo } from '../wire';
import type { JoinChoice, MediaTrouble } from './devices';
import { LocalDevices } from './local';
import { Mender } from './mender';
import { LinkJudge, countStats, type LinkWord } from './quality';

/** `restoring`: it worked, it does not now, and the page is at it. */
export type TransportState = 'none' | 'connecting' | 'connected' | 'restoring';

/** What the page shows of the call; a new object at each change. */
export interface CallView {
  choice: JoinChoice | null;
  joining: boolean;
  mic: boolean;
  camera: boolean;
  trouble: Partial<Record<MediaKind, MediaTrouble>>;
  localVideo: MediaStreamTrack | null;
  remoteAudio: MediaStreamTrack | null;
  remoteVideo: MediaStreamTrack | null;
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

export interface CallPlan {
  send: (message: ClientMessage) => boolean;
  /** A new link, which names the transports that live on: the others are offered anew. */
  renew: () => void;
  /** What the other side sends now, as the server knows it. */
  expects: () => { audio: boolean; video: boolean };
  onChange: (view: CallView) => void;
}

interface Transport {
  id: string;
  direction: Direction;
  peer: RTCPeerConnection;
  mender: Mender;
  tracks: TrackInfo[];
  /** Sections that carried a track and then none. */
  emptied: Set<string>;
  /** Offers are answered one after the other. */
  queue: Promise<void>;
}

const LOOK_MS = 500;
const STATS_MS = 1_000;

export class Call {
  readonly #plan: CallPlan;
  readonly #transports = new Map<string, Transport>();
  readonly #local: LocalDevices;
  #choice: JoinChoice | null = null;
  #joining = false;
  #linkDown = false;
  #mediaAway = false;
  #looker: ReturnType<typeof setInterval> | undefined;
  #statsAt = 0;
  #judges: Record<Direction, LinkJudge> = { publish: new LinkJudge(), subscribe: new LinkJudge() };
  #words: Record<Direction, LinkWord> = { publish: 'none', subscribe: 'none' };
  #ever: Record<Direction, boolean> = { publish: false, subscribe: false };
  #frozen = false;
  #decoded = 0;
  #encoded = 0;
  /** Frames of connections that are gone, so that the counters only grow. */
  #decodedBefore = 0;

  constructor(plan: CallPlan) {
    this.#plan = plan;
    this.#local = new LocalDevices((kind) => {
      plan.send({ type: 'mute', kind, muted: true });
      this.#changed();
    });
  }

  /** Transports that may live on through a lost link. */
  get alive(): string[] {
    return [...this.#transports.values()]
      .filter(({ peer }) => ['connected', 'disconnected'].includes(peer.connectionState))
      .map(({ id }) => id);
  }

  get view(): CallView {
    const subscribe = this.#of('subscribe');
    const remote = (kind: MediaKind) =>
      subscribe === undefined ? null : remoteTrack(subscribe, kind);
    return {
      choice: this.#choice,
      joining: this.#joining,
      mic: this.#local.mic,
      camera: this.#local.camera,
      trouble: this.#local.trouble,
      localVideo: this.#local.videoTrack,
      remoteAudio: remote('audio'),
      remoteVideo: remote('video'),
      publish: this.#stateOf('publish'),
      subscribe: this.#stateOf('subscribe'),
      publishWord: this.#words.publish,
      subscribeWord: this.#words.subscribe,
      frozen: this.#frozen,
      moving: this.#judges.subscribe.moving && this.#stateOf('subscribe') === 'connected',
      framesDecoded: this.#decodedBefore + this.#decoded,
      framesEncoded: this.#encoded,
    };
  }

  /** Join with camera, with voice alone, or only listening. Joins also when a device is refused. */
  async join(choice: JoinChoice): Promise<void> {
    if (this.#joining) return;
    this.#joining = true;
    this.#changed();
    await this.#local.open(choice);
    this.#choice = choice;
    this.#joining = false;
    this.#looker ??= setInterval(() => this.#look(), LOOK_MS);
    this.ready();
    this.#changed();
  }

  /** Say again that this page wants media: after joining, and on every new link. */
  ready(): void {
    this.#linkDown = false;
    if (this.#choice === null) return;
    const { has, muted } = this.#local;
    this.#plan.send({ type: 'media_ready', ...has });
    // The server remembers what an earlier page of this person had muted.
    for (const kind of ['audio', 'video'] as const) {
      if (has[kind]) this.#plan.send({ type: 'mute', kind, muted: muted.includes(kind) });
    }
  }

  leave(): void {
    clearInterval(this.#looker);
    this.#looker = undefined;
    this.#choice = null;
    this.#local.release();
    for (const transport of [...this.#transports.values()]) this.#close(transport);
    this.#ever = { publish: false, subscribe: false };
    this.#changed();
  }

  /** The link to the server is down: what runs may run on, nothing can be asked for. */
  linkDown(): void {
    this.#linkDown = true;
    this.#mediaAway = false;
  }

  /** The media process is gone: its connections are dead whatever the browser still thinks. */
  mediaAway(): void {
    this.#mediaAway = true;
    for (const transport of [...this.#transports.values()]) this.#close(transport);
    this.#changed();
  }

  mediaBack(): void {
    this.#mediaAway = false;
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
    const section = this.#of('publish')
      ?.peer.getTransceivers()
      .find(({ receiver }) => receiver.track.kind === 'video');
    await section?.sender.replaceTrack(this.#local.videoTrack);
    this.#plan.send({ type: 'mute', kind: 'video', muted: !this.#local.camera });
    this.#changed();
  }

  /** Take an offer: of a known transport it renegotiates, of an unknown one it makes a new connection. */
  offer(offer: Offer): void {
    if (this.#choice === null) return;
    this.#mediaAway = false;
    let transport = this.#transports.get(offer.transport);
    if (transport === undefined) {
      const older = this.#of(offer.direction);
      if (older !== undefined) this.#close(older);
      transport = this.#make(offer);
      this.#transports.set(offer.transport, transport);
    }
    if (this.#unrenderable(transport, offer)) {
      this.#close(transport);
      this.#plan.renew();
      return;
    }
    const current = transport;
    current.queue = current.queue
      .then(() => this.#answer(current, offer))
      .catch(() => {
        // An offer this browser cannot answer: the mender sees no connection and joins anew.
      });
    this.#changed();
  }

  /**
   * Chromium decodes a section that was inactive and is sent again, but its track shows nothing:
   * such a connection is made anew.
   */
  #unrenderable(transport: Transport, offer: Offer): boolean {
    const offered = new Set(offer.tracks.map(({ mid }) => mid));
    for (const { mid } of transport.tracks) if (!offered.has(mid)) transport.emptied.add(mid);
    transport.tracks = offer.tracks;
    return offer.tracks.some(({ mid }) => transport.emptied.has(mid));
  }

  #make(offer: Offer): Transport {
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === 'connected') this.#ever[offer.direction] = true;
      this.#look();
      this.#changed();
    };
    return {
      id: offer.transport,
      direction: offer.direction,
      peer,
      mender: new Mender(Date.now()),
      tracks: offer.tracks,
      emptied: new Set(),
      queue: Promise.resolve(),
    };
  }

  async #answer(transport: Transport, offer: Offer): Promise<void> {
    const { peer } = transport;
    // Tracks only after the offer: added before, they are not matched to its sections.
    await peer.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
    if (transport.direction === 'publish') await this.#attach(peer);
    await peer.setLocalDescription(await peer.createAnswer());
    const sdp = peer.localDescription?.sdp;
    if (sdp !== undefined) this.#plan.send({ type: 'answer', transport: transport.id, sdp });
    this.#changed();
  }

  /** Put our tracks on the offered sections, once. */
  async #attach(peer: RTCPeerConnection): Promise<void> {
    const { audioTrack, videoTrack, has } = this.#local;
    for (const track of [audioTrack, videoTrack]) {
      if (track === null) continue;
      const section = peer
        .getTransceivers()
        .find(({ receiver, sender }) => receiver.track.kind === track.kind && sender.track);
      if (section === undefined) peer.addTrack(track);
      else await section.sender.replaceTrack(track);
    }
    if (has.video && videoTrack === null) {
      // Camera off while the call forms anew: answer the section, send nothing yet.
      const section = peer.getTransceivers().find((t) => t.receiver.track.kind === 'video');
      if (section !== undefined) section.direction = 'sendonly';
    }
  }

  /** A device that was not asked for at first, now wanted: the call forms anew with it. */
  async #openMore(kind: MediaKind): Promise<void> {
    if (await this.#local.openOne(kind)) {
      this.#choice = this.#local.has.video ? 'camera' : 'audio';
      this.ready();
    }
    this.#changed();
  }

  #close(transport: Transport): void {
    transport.peer.onconnectionstatechange = null;
    transport.peer.close();
    this.#transports.delete(transport.id);
    if (transport.direction === 'subscribe') {
      this.#decodedBefore += this.#decoded;
      this.#decoded = 0;
    }
  }

  #of(direction: Direction): Transport | undefined {
    return [...this.#transports.values()].find((transport) => transport.direction === direction);
  }

  #stateOf(direction: Direction): TransportState {
    if (this.#choice === null) return 'none';
    const state = this.#of(direction)?.peer.connectionState;
    if (state === 'connected') return 'connected';
    if (this.#ever[direction]) return 'restoring';
    return state === undefined ? 'none' : 'connecting';
  }

  #look(): void {
    const now = Date.now();
    const held = this.#linkDown || this.#mediaAway;
    let rejoin = false;
    for (const transport of this.#transports.values()) {
      const cure = transport.mender.look(transport.peer.connectionState, now, held);
      if (cure === 'restart') this.#plan.send({ type: 'restart', transport: transport.id });
      if (cure === 'rejoin') rejoin = true;
    }
    if (rejoin) this.ready();
    if (now - this.#statsAt >= STATS_MS) {
      this.#statsAt = now;
      void this.#count(now);
    }
  }

  async #count(now: number): Promise<void> {
    const before = JSON.stringify([this.#words, this.#frozen, this.#decoded, this.#encoded]);
    const expects = this.#plan.expects();
    for (const direction of ['publish', 'subscribe'] as const) {
      const transport = this.#of(direction);
      const report = await transport?.peer.getStats();
      const counted = countStats(report === undefined ? [] : report.values());
      const subscribed = direction === 'subscribe';
      this.#words[direction] = this.#judges[direction].add(
        {
          atMs: now,
          connected: transport?.peer.connectionState === 'connected',
          expected: subscribed && (expects.audio || expects.video),
          received: subscribed ? counted.received : counted.sent,
          lost: counted.lost,
          rttMs: counted.rttMs,
          framesDecoded: counted.framesDecoded,
        },
        subscribed && expects.video,
      );
      // Before the first connection there is nothing to judge.
      if (!this.#ever[direction]) this.#words[direction] = 'none';
      if (subscribed) this.#decoded = counted.framesDecoded;
      else this.#encoded = counted.framesEncoded;
    }
    this.#frozen = this.#judges.subscribe.frozen;
    if (before !== JSON.stringify([this.#words, this.#frozen, this.#decoded, this.#encoded])) {
      this.#changed();
    }
  }

  #changed(): void {
    this.#plan.onChange(this.view);
  }
}

function remoteTrack({ peer, tracks }: Transport, kind: MediaKind): MediaStreamTrack | null {
  const info = tracks.find((track) => track.kind === kind);
  if (info === undefined) return null;
  return peer.getTransceivers().find(({ mid }) => mid === info.mid)?.receiver.track ?? null;
}
