// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { iceServersAre } from '../../src/call/ice';
import { Peers } from '../../src/call/peers';
import type { Offer } from '../../src/call/wire';

/** As much of a browser's connection as counting needs; its statistics come when they are let. */
class Connection {
  static made: Connection[] = [];
  connectionState: RTCPeerConnectionState = 'connected';
  onconnectionstatechange: (() => void) | null = null;
  localDescription = { sdp: 'answer' };
  frames = 0;
  heard = 0;
  held: Promise<void> = Promise.resolve();

  constructor(public way: RTCConfiguration) {
    Connection.made.push(this);
  }

  setConfiguration(way: RTCConfiguration): void {
    this.way = way;
  }

  async getStats(): Promise<Map<string, object>> {
    const { frames, heard, held } = this;
    await held;
    return new Map<string, object>([
      ['a', { type: 'inbound-rtp', framesDecoded: frames }],
      ['b', { type: 'candidate-pair', bytesReceived: heard }],
    ]);
  }

  async setRemoteDescription(): Promise<void> {}
  async setLocalDescription(): Promise<void> {}
  createAnswer(): Promise<object> {
    return Promise.resolve({});
  }
  close(): void {
    this.connectionState = 'closed';
  }
}

function joined(rejoin = (): void => undefined): Peers {
  const peers = new Peers({
    send: () => true,
    rejoin,
    attach: () => Promise.resolve(),
    expects: () => ({ audio: true, video: true }),
    onChange: () => undefined,
  });
  peers.start();
  peers.offer(offer('first'));
  return peers;
}

function offer(transport: string): Offer {
  return { transport, direction: 'subscribe', sdp: 'offer', tracks: [] };
}

describe('frames of a call', () => {
  beforeEach(() => {
    Connection.made = [];
    vi.useFakeTimers();
    vi.stubGlobal('RTCPeerConnection', Connection);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('are counted once when a connection is made anew while it is asked', async () => {
    const peers = joined();
    const first = Connection.made[0]!;
    first.frames = 100;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(peers.framesDecoded).toBe(100);

    let answer = (): void => undefined;
    first.held = new Promise((resolve) => (answer = resolve));
    first.frames = 120;
    await vi.advanceTimersByTimeAsync(1_000);
    peers.offer(offer('second'));
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(peers.framesDecoded).toBe(100);

    Connection.made[1]!.frames = 5;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(peers.framesDecoded).toBe(105);
    peers.stop();
  });

  it('stay counted when the other is away and his section carries nothing', async () => {
    const peers = joined();
    const counts: number[] = [];
    for (const frames of [100, 130, 0, 0, 7]) {
      Connection.made[0]!.frames = frames;
      await vi.advanceTimersByTimeAsync(1_000);
      counts.push(peers.framesDecoded);
    }
    expect(counts).toEqual([100, 130, 130, 130, 137]);
    peers.stop();
  });
});

describe('a section that is filled again', () => {
  it('has its connection made anew, and only that one', () => {
    vi.stubGlobal('RTCPeerConnection', Connection);
    const tracks = [{ mid: '0', kind: 'video', member: 'other' } as const];
    let kept: string[] | null = null;
    const peers = joined(() => (kept = peers.healthy()));
    peers.offer({ ...offer('voice'), direction: 'publish' });
    for (const carried of [tracks, [], tracks]) {
      expect(kept).toBeNull();
      peers.offer({ ...offer('first'), tracks: [...carried] });
    }
    expect(kept).toEqual(['voice']);
    peers.stop();
    vi.unstubAllGlobals();
  });
});

describe('the TURN servers', () => {
  it('are those the house told last, also for a way that is looked for anew', async () => {
    vi.stubGlobal('RTCPeerConnection', Connection);
    Connection.made = [];
    const early = [{ urls: ['turn:house'], username: '1:a', credential: 'x' }];
    iceServersAre(early);
    const peers = joined();
    expect(Connection.made[0]!.way).toEqual({ bundlePolicy: 'max-bundle', iceServers: early });
    const late = [{ ...early[0]!, username: '2:b' }];
    iceServersAre(late);
    peers.offer(offer('first'));
    await vi.waitFor(() => expect(Connection.made[0]!.way.iceServers).toEqual(late));
    peers.stop();
    vi.unstubAllGlobals();
  });
});

describe('connections that are down, or may be', () => {
  beforeEach(() => {
    Connection.made = [];
    vi.useFakeTimers();
    vi.stubGlobal('RTCPeerConnection', Connection);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('look for their way anew when the link was lost and is back', async () => {
    const asked: string[] = [];
    const peers = new Peers({
      send: ({ type }) => asked.push(type) > 0,
      rejoin: () => undefined,
      attach: () => Promise.resolve(),
      expects: () => ({ audio: true, video: true }),
      onChange: () => undefined,
    });
    const restarts = (): number => asked.filter((type) => type === 'restart').length;
    peers.start();
    peers.offer(offer('first'));
    peers.linkUp();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(restarts()).toBe(0);
    peers.linkDown();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(restarts()).toBe(0);
    peers.linkUp();
    await vi.advanceTimersByTimeAsync(0);
    expect(restarts()).toBe(1);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(restarts()).toBe(1);
    peers.stop();
  });

  it('look for their way anew at once also when the browser has given up the old one', async () => {
    const asked: string[] = [];
    const peers = new Peers({
      send: ({ type }) => asked.push(type) > 0,
      rejoin: () => undefined,
      attach: () => Promise.resolve(),
      expects: () => ({ audio: true, video: true }),
      onChange: () => undefined,
    });
    peers.start();
    peers.offer(offer('first'));
    await vi.advanceTimersByTimeAsync(500);
    peers.linkDown();
    Connection.made[0]!.connectionState = 'disconnected';
    await vi.advanceTimersByTimeAsync(5_000);
    peers.linkUp();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked.filter((type) => type === 'restart')).toHaveLength(1);
    peers.stop();
  });

  it('tell when nothing comes any more of what should, and not while answers do', async () => {
    const silent = vi.fn();
    const peers = new Peers({
      send: () => true,
      rejoin: () => undefined,
      attach: () => Promise.resolve(),
      expects: () => ({ audio: true, video: true }),
      silent,
      onChange: () => undefined,
    });
    peers.start();
    peers.offer(offer('first'));
    peers.offer({ ...offer('voice'), direction: 'publish' });
    for (let n = 1; n <= 4; n += 1) {
      Connection.made[1]!.heard = 60 * n; // the other one's line is cut, ours answers
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(silent).toHaveBeenCalledTimes(1);
    peers.stop();
  });

  it('are not given up while the server does not hear what is asked of it', async () => {
    let hears = true;
    const asked: string[] = [];
    const rejoin = vi.fn();
    const peers = new Peers({
      send: ({ type }) => asked.push(type) > 0,
      rejoin,
      attach: () => Promise.resolve(),
      expects: () => ({ audio: true, video: true }),
      hears: () => hears,
      onChange: () => undefined,
    });
    peers.start();
    peers.offer(offer('first'));
    await vi.advanceTimersByTimeAsync(1_000);
    Connection.made[0]!.connectionState = 'disconnected';
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked.at(-1)).toBe('restart');
    hears = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(rejoin).not.toHaveBeenCalled();
    hears = true;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked.filter((type) => type === 'restart')).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(rejoin).toHaveBeenCalled();
    peers.stop();
  });
});
