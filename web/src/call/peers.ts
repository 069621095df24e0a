/**
 * The connections of a call: one RTCPeerConnection to publish, one to subscribe. The server always
 * offers; this side answers, asks for ICE restarts and keeps the call together through lost links.
 */

import { wayOut } from './ice';
import { Mender } from './mender';
import { LinkJudge, Pulse, Teller, countStats, type LinkWord } from './quality';
import type { Direction, Offer, PeersMessage, TrackInfo } from './wire';

/** `restoring`: it worked, it does not now, and the page is at it. */
export type TransportState = 'none' | 'connecting' | 'connected' | 'restoring';

export interface PeersPlan {
  send: (message: PeersMessage) => boolean;
  /** Say again that this page wants media: what is not healthy is past mending. */
  rejoin: () => void;
  /** Put our tracks on the sections of an offer to publish, just taken. */
  attach: (peer: RTCPeerConnection, tracks: readonly TrackInfo[]) => Promise<void>;
  /** What should be arriving now, as the server knows it. */
  expects: () => { audio: boolean; video: boolean };
  /** Whether the server hears what is asked of it; a restart that it cannot hear is not given up. */
  hears?: (() => boolean) | undefined;
  /** Nothing comes any more, in no direction: told once. */
  silent?: (() => void) | undefined;
  onChange: () => void;
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

export class Peers {
  readonly #plan: PeersPlan;
  readonly #transports = new Map<string, Transport>();
  #on = false;
  #linkDown = false;
  #mediaAway = false;
  #looker: ReturnType<typeof setInterval> | undefined;
  readonly #pulse = new Pulse();
  #sent = 0;
  #judges: Record<Direction, LinkJudge> = { publish: new LinkJudge(), subscribe: new LinkJudge() };
  readonly #teller = new Teller();
  #words: Record<Direction, LinkWord> = { publish: 'none', subscribe: 'none' };
  #ever: Record<Direction, boolean> = { publish: false, subscribe: false };
  #frozen = false;
  /** Of the present connection, as it said last; of sections that carry nothing now it says nothing. */
  #decoded = 0;
  #encoded = 0;
  /** Of all connections, and of what they carried before: it only grows. */
  #decodedInAll = 0;

  constructor(plan: PeersPlan) {
    this.#plan = plan;
  }

  /** Transports that may live on through a lost link. */
  get alive(): string[] {
    return [...this.#transports.values()]
      .filter(({ mender }) => mender.everConnected)
      .map(({ id }) => id);
  }

  /** Connections that need no mending, in one direction or in both. */
  healthy(direction?: Direction): string[] {
    return [...this.#transports.values()]
      .filter((each) => direction === undefined || each.direction === direction)
      .filter(({ peer }) => peer.connectionState === 'connected')
      .map(({ id }) => id);
  }

  get words(): Readonly<Record<Direction, LinkWord>> {
    return this.#words;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** Pictures are being decoded now. */
  get moving(): boolean {
    return this.#judges.subscribe.moving && this.stateOf('subscribe') === 'connected';
  }

  get framesDecoded(): number {
    return this.#decodedInAll;
  }

  get framesEncoded(): number {
    return this.#encoded;
  }

  /** The connection that publishes, and which section of it carries what. */
  get publishing(): { peer: RTCPeerConnection; tracks: readonly TrackInfo[] } | null {
    return this.#of('publish') ?? null;
  }

  /** Whose tracks are offered to this page. */
  get members(): string[] {
    return [...new Set(this.#of('subscribe')?.tracks.map(({ member }) => member))];
  }

  /** The first track that arrives and fits. */
  remote(fits: (track: TrackInfo) => boolean): MediaStreamTrack | null {
    const subscribe = this.#of('subscribe');
    const info = subscribe?.tracks.find(fits);
    if (subscribe === undefined || info === undefined) return null;
    const section = subscribe.peer.getTransceivers().find(({ mid }) => mid === info.mid);
    return section?.receiver.track ?? null;
  }

  stateOf(direction: Direction): TransportState {
    if (!this.#on) return 'none';
    const state = this.#of(direction)?.peer.connectionState;
    if (state === 'connected') return 'connected';
    if (this.#ever[direction]) return 'restoring';
    return state === undefined ? 'none' : 'connecting';
  }

  /** From now on offers are taken. */
  start(): void {
    this.#on = true;
    this.#looker ??= setInterval(() => this.#look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#looker);
    this.#looker = undefined;
    this.#on = false;
    this.#closeAll();
    this.#ever = { publish: false, subscribe: false };
  }

  /** End one direction for good: nothing of it is to be restored. */
  end(direction: Direction): void {
    const transport = this.#of(direction);
    if (transport !== undefined) this.#close(transport);
    this.#ever[direction] = false;
    this.#words[direction] = 'none';
  }

  linkUp(): void {
    // What cut the link may have moved the machine to another network: media learn of it here first.
    if (this.#linkDown) {
      for (const { mender } of this.#transports.values()) mender.doubt();
      // As soon as the page has said again what it wants.
      queueMicrotask(() => this.#look());
    }
    this.#linkDown = false;
  }

  /** The link to the server is down: what runs may run on, nothing can be asked for. */
  linkDown(): void {
    this.#linkDown = true;
    this.#mediaAway = false;
  }

  /** The media process is gone: its connections are dead whatever the browser still thinks. */
  mediaAway(): void {
    this.#mediaAway = true;
    this.#closeAll();
    this.#plan.onChange();
  }

  mediaBack(): void {
    this.#mediaAway = false;
  }

  /** Take an offer: of a known transport it renegotiates, of an unknown one it makes a new connection. */
  offer(offer: Offer): void {
    if (!this.#on) return;
    this.#mediaAway = false;
    let transport = this.#transports.get(offer.transport);
    if (transport === undefined) {
      if (offer.reply === true) return; // to what this page has closed
      const older = this.#of(offer.direction);
      if (older !== undefined) this.#close(older);
      transport = this.#make(offer);
      this.#transports.set(offer.transport, transport);
    }
    if (this.#unrenderable(transport, offer)) {
      this.#close(transport);
      this.#plan.rejoin();
      return;
    }
    transport.mender.offered(Date.now());
    const current = transport;
    current.queue = current.queue
      .then(() => this.#answer(current, offer))
      .catch(() => {
        // An offer this browser cannot answer: the mender sees no connection and joins anew.
      });
    this.#plan.onChange();
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
    const peer = new RTCPeerConnection(wayOut());
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === 'connected') this.#ever[offer.direction] = true;
      this.#look();
      this.#plan.onChange();
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
    peer.setConfiguration(wayOut());
    if (offer.reply === true) {
      await peer.setRemoteDescription({ type: 'answer', sdp: offer.sdp });
      return;
    }
    if (offer.sdp === '') {
      await this.#offerOurselves(transport);
      return;
    }
    // Tracks only after the offer: added before, they are not matched to its sections.
    await peer.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
    if (transport.direction === 'publish') await this.#plan.attach(peer, offer.tracks);
    await peer.setLocalDescription(await peer.createAnswer());
    const sdp = peer.localDescription?.sdp;
    if (sdp !== undefined) this.#plan.send({ type: 'answer', transport: transport.id, sdp });
    this.#plan.onChange();
  }

  /** For a server that answers: the first time with a section for each track, then anew. */
  async #offerOurselves({ id, peer, tracks }: Transport): Promise<void> {
    if (peer.currentRemoteDescription !== null) peer.restartIce();
    for (const { kind } of tracks.slice(peer.getTransceivers().length)) {
      peer.addTransceiver(kind === 'audio' ? 'audio' : 'video', { direction: 'sendonly' });
    }
    // Only now the sections have the names by which tracks are put on them.
    await peer.setLocalDescription(await peer.createOffer());
    await this.#plan.attach(peer, tracks);
    await peer.setLocalDescription(await peer.createOffer());
    const sdp = peer.localDescription?.sdp;
    if (sdp !== undefined) this.#plan.send({ type: 'answer', transport: id, sdp });
    this.#plan.onChange();
  }

  #closeAll(): void {
    for (const transport of [...this.#transports.values()]) this.#close(transport);
  }

  #close(transport: Transport): void {
    transport.peer.onconnectionstatechange = null;
    transport.peer.close();
    this.#transports.delete(transport.id);
    if (transport.direction === 'subscribe') this.#decoded = 0;
  }

  #of(direction: Direction): Transport | undefined {
    return [...this.#transports.values()].find((transport) => transport.direction === direction);
  }

  #look(): void {
    const now = Date.now();
    const held = this.#linkDown || this.#mediaAway || this.#plan.hears?.() === false;
    let rejoin = false;
    for (const transport of this.#transports.values()) {
      const cure = transport.mender.look(transport.peer.connectionState, now, held);
      if (cure === 'restart') this.#plan.send({ type: 'restart', transport: transport.id });
      if (cure === 'rejoin') rejoin = true;
    }
    if (rejoin) this.#plan.rejoin();
    void this.#count(now);
  }

  async #count(now: number): Promise<void> {
    const before = JSON.stringify([this.#words, this.#frozen, this.#decoded, this.#encoded]);
    const expects = this.#plan.expects();
    let heard = 0;
    let due = false;
    for (const direction of ['publish', 'subscribe'] as const) {
      const transport = this.#of(direction);
      const report = await transport?.peer.getStats();
      // Made anew meanwhile: the next one begins with nothing.
      if (transport !== this.#of(direction)) continue;
      const counted = countStats(report === undefined ? [] : report.values());
      const subscribed = direction === 'subscribe';
      const connected = transport?.peer.connectionState === 'connected';
      const expected = subscribed && (expects.audio || expects.video);
      heard += counted.heard;
      due ||= connected && (expected || (!subscribed && counted.sent !== this.#sent));
      if (!subscribed) this.#sent = counted.sent;
      this.#words[direction] = this.#judges[direction].add(
        {
          atMs: now,
          connected,
          expected,
          received: subscribed ? counted.received : counted.sent,
          framesDecoded: counted.framesDecoded,
        },
        subscribed && expects.video,
      );
      // Before the first connection there is nothing to judge.
      if (!this.#ever[direction]) this.#words[direction] = 'none';
      if (subscribed) {
        const said = this.#teller.add(now, report === undefined ? null : counted);
        if (said !== null) this.#plan.send(said);
        this.#decodedInAll += Math.max(0, counted.framesDecoded - this.#decoded);
        this.#decoded = counted.framesDecoded;
      } else this.#encoded = counted.framesEncoded;
    }
    if (this.#pulse.add(now, heard, due)) this.#plan.silent?.();
    this.#frozen = this.#judges.subscribe.frozen;
    if (before !== JSON.stringify([this.#words, this.#frozen, this.#decoded, this.#encoded])) {
      this.#plan.onChange();
    }
  }
}
