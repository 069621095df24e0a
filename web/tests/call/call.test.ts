// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Call, type CallMessage } from '../../src/call/call';

/** A section of a connection, as far as a call touches it. */
function section(mid: string): {
  mid: string;
  direction: string;
  sender: { track: unknown; replaceTrack: (track: unknown) => Promise<void> };
  receiver: { track: { kind: string } };
} {
  const sender = {
    track: null as unknown,
    replaceTrack: (track: unknown) => {
      sender.track = track;
      return Promise.resolve();
    },
  };
  return {
    mid,
    direction: 'inactive',
    sender,
    receiver: { track: { kind: mid === '0' ? 'audio' : 'video' } },
  };
}

class Peer {
  static last: Peer;
  readonly sections = ['0', '1', '2'].map(section);
  connectionState = 'connected';
  localDescription = { sdp: 'answer' };
  constructor() {
    Peer.last = this;
  }
  getTransceivers = () => this.sections;
  setConfiguration = () => undefined;
  setRemoteDescription = () => Promise.resolve();
  createAnswer = () => Promise.resolve({});
  setLocalDescription = () => Promise.resolve();
  getStats = () => Promise.resolve(new Map());
  close = () => undefined;
}

class Track extends EventTarget {
  stopped = false;
  stop(): void {
    this.stopped = true;
  }
}

const screen = (): MediaStreamTrack & Track => new Track() as MediaStreamTrack & Track;

describe('a visit’s call, and a screen in it', () => {
  let sent: CallMessage[];
  let call: Call;

  beforeEach(async () => {
    vi.useFakeTimers();
    vi.stubGlobal('RTCPeerConnection', Peer);
    vi.stubGlobal('navigator', { mediaDevices: { getDisplayMedia: () => undefined } });
    sent = [];
    call = new Call({
      send: (message) => sent.push(message) > 0,
      expects: () => ({ audio: false, video: false }),
      onChange: () => undefined,
    });
    await call.join('listen');
    call.offer({
      transport: 'p',
      direction: 'publish',
      sdp: 'offer',
      tracks: (['audio', 'video', 'screen'] as const).map((kind, n) => ({
        mid: String(n),
        kind,
        member: 'me',
      })),
    });
    await vi.advanceTimersByTimeAsync(10);
  });

  afterEach(() => {
    call.leave();
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  const muted = (): boolean[] =>
    sent.flatMap((each) => (each.type === 'mute' && each.kind === 'screen' ? [each.muted] : []));

  it('has its place from the start, and is told of before what the page has', () => {
    expect(sent.map(({ type }) => type).slice(0, 2)).toEqual(['mute', 'media_ready']);
    expect(Peer.last.sections.map(({ direction }) => direction)).toEqual([
      'inactive',
      'inactive',
      'sendonly',
    ]);
  });

  it('comes and goes in that place, without another offer', async () => {
    const track = screen();
    await call.showScreen(track);
    expect(Peer.last.sections[2]?.sender.track).toBe(track);
    expect([call.view.screen, muted()]).toEqual([true, [true, false]]);
    await call.showScreen(null);
    expect(Peer.last.sections[2]?.sender.track).toBe(null);
    expect([track.stopped, call.view.screen, muted()]).toEqual([true, false, [true, false, true]]);
    expect(sent.filter(({ type }) => type === 'media_ready')).toHaveLength(1);
  });

  it('ends with the button of the browser, and with the call', async () => {
    const first = screen();
    await call.showScreen(first);
    first.dispatchEvent(new Event('ended'));
    await vi.advanceTimersByTimeAsync(1);
    expect([call.view.screen, muted().at(-1)]).toEqual([false, true]);
    const second = screen();
    await call.showScreen(second);
    call.leave();
    expect([second.stopped, call.view.screen]).toEqual([true, false]);
  });

  it('is not joined by who has left while the browser was still asking', async () => {
    call.leave();
    const joining = call.join('listen');
    call.leave();
    await joining;
    expect([call.view.choice, call.view.joining]).toEqual([null, false]);
  });

  it('is not begun by a choice that was made after the call had ended', async () => {
    call.leave();
    const late = screen();
    await call.showScreen(late);
    expect([late.stopped, call.view.screen]).toEqual([true, false]);
  });
});
