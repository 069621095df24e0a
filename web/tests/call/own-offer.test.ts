// @vitest-environment node
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Peers } from '../../src/call/peers';
import type { Offer, PeersMessage, TrackInfo } from '../../src/call/wire';

/** As much of a browser's connection as making an offer needs; what is asked of it is written down. */
class Connection {
  static asked: string[] = [];
  connectionState: RTCPeerConnectionState = 'connecting';
  onconnectionstatechange: (() => void) | null = null;
  localDescription: { sdp: string } | null = null;
  currentRemoteDescription: object | null = null;
  sections: string[] = [];
  offers = 0;

  setConfiguration(): void {}
  getTransceivers(): string[] {
    return this.sections;
  }
  addTransceiver(kind: string, { direction }: { direction: string }): void {
    this.sections.push(kind);
    Connection.asked.push(`${kind} ${direction}`);
  }
  restartIce(): void {
    Connection.asked.push('restart');
  }
  createOffer(): Promise<object> {
    this.offers += 1;
    return Promise.resolve({ sdp: `offer ${String(this.offers)}` });
  }
  setLocalDescription(description: { sdp: string }): Promise<void> {
    this.localDescription = description;
    return Promise.resolve();
  }
  setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
    this.currentRemoteDescription = description;
    Connection.asked.push(`${description.type} ${description.sdp}`);
    return Promise.resolve();
  }
  getStats(): Promise<Map<string, object>> {
    return Promise.resolve(new Map<string, object>());
  }
  close(): void {
    this.connectionState = 'closed';
  }
}

const tracks: TrackInfo[] = (['audio', 'video', 'screen'] as const).map((kind, at) => ({
  mid: String(at),
  kind,
  member: 'me',
}));

function offer(sdp: string, reply = false): Offer {
  return { transport: 'one', direction: 'publish', sdp, tracks, reply };
}

beforeEach(() => {
  Connection.asked = [];
  vi.useFakeTimers();
  vi.stubGlobal('RTCPeerConnection', Connection);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function peersOf(said: PeersMessage[]): Peers {
  return new Peers({
    send: (message) => said.push(message) > 0,
    rejoin: () => undefined,
    attach: () => {
      Connection.asked.push('attach');
      return Promise.resolve();
    },
    expects: () => ({ audio: false, video: false }),
    onChange: () => undefined,
  });
}

it('passes over a reply to a connection that is gone', async () => {
  const peers = peersOf([]);
  peers.start();
  for (const each of [{ ...offer(''), transport: 'two' }, offer('late', true)]) {
    peers.offer(each);
    await vi.advanceTimersByTimeAsync(0);
  }
  expect(Connection.asked).not.toContain('answer late');
  peers.stop();
});

it('is made where the server asks for one, answered by its reply, and made anew for a restart', async () => {
  const said: PeersMessage[] = [];
  const peers = peersOf(said);
  peers.start();
  for (const each of [offer(''), offer('reply', true), offer('')]) {
    peers.offer(each);
    await vi.advanceTimersByTimeAsync(0);
  }
  expect(Connection.asked).toEqual([
    'audio sendonly',
    'video sendonly',
    'video sendonly',
    'attach',
    'answer reply',
    'restart',
    'attach',
  ]);
  expect(said.filter(({ type }) => type === 'answer')).toEqual([
    { type: 'answer', transport: 'one', sdp: 'offer 2' },
    { type: 'answer', transport: 'one', sdp: 'offer 4' },
  ]);
  peers.stop();
});
