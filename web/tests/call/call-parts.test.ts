// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { asksFor, troubleOf } from '../../src/call/devices';
import { Mender, type Cure } from '../../src/call/mender';
import { LinkJudge, type LinkSample } from '../../src/call/quality';
import { readMessage } from '../../src/visit/wire';

/** Looks twice a second for `ms` and gives each cure with its time. */
function watch(
  mender: Mender,
  state: RTCPeerConnectionState,
  from: number,
  ms: number,
  held = false,
): [number, Cure][] {
  const cures: [number, Cure][] = [];
  for (let at = from; at < from + ms; at += 500) {
    const cure = mender.look(state, at, held);
    if (cure !== 'none') cures.push([at - from, cure]);
  }
  return cures;
}

function connected(): Mender {
  const mender = new Mender(0);
  mender.look('connecting', 100, false);
  mender.look('connected', 200, false);
  return mender;
}

describe('mending a transport', () => {
  it('restarts ICE a second after the path is gone', () => {
    expect(watch(connected(), 'disconnected', 1_000, 3_000)).toEqual([[1_000, 'restart']]);
  });

  it('restarts at once when the browser has given up', () => {
    expect(watch(connected(), 'failed', 1_000, 500)).toEqual([[0, 'restart']]);
  });

  it('makes the call anew when restarts bring nothing, within ten seconds, and again', () => {
    const cures = watch(connected(), 'disconnected', 1_000, 20_000);
    expect(cures.slice(0, 3).map(([, cure]) => cure)).toEqual(['restart', 'rejoin', 'rejoin']);
    expect(cures[1]?.[0]).toBeLessThan(5_000);
  });

  it('gives a path its time once the server has offered it, over a thin line late', () => {
    const mender = connected();
    expect(watch(mender, 'disconnected', 1_000, 4_000)).toEqual([[1_000, 'restart']]);
    mender.offered(5_000);
    expect(watch(mender, 'disconnected', 5_000, 3_500)).toEqual([]);
    expect(watch(mender, 'disconnected', 8_500, 500)).toEqual([[0, 'rejoin']]);
  });

  it('leaves a path alone that comes back by itself', () => {
    const mender = connected();
    watch(mender, 'disconnected', 1_000, 1_000);
    expect(watch(mender, 'connected', 2_000, 20_000)).toEqual([]);
  });

  it('asks for a new way at once after sleep, when a dead path may still seem connected', () => {
    const mender = connected();
    expect(watch(mender, 'connected', 30_000, 1_000)).toEqual([[0, 'restart']]);
    expect(watch(mender, 'connected', 31_000, 2_500)).toEqual([]);
    expect(watch(mender, 'disconnected', 33_500, 1_000)).toEqual([[0, 'rejoin']]);
  });

  it('asks so once, and forgets its doubt when the path stays', () => {
    const mender = connected();
    expect(watch(mender, 'connected', 30_000, 20_000)).toEqual([[0, 'restart']]);
    expect(watch(mender, 'disconnected', 50_000, 2_000)).toEqual([[1_000, 'restart']]);
  });

  it('after sleep waits for the link to the server first', () => {
    const mender = connected();
    expect(watch(mender, 'connected', 30_000, 2_000, true)).toEqual([]);
    expect(watch(mender, 'connected', 32_000, 500)).toEqual([[0, 'restart']]);
  });

  it('waits while the server says that media is away, and begins anew after', () => {
    const mender = connected();
    expect(watch(mender, 'failed', 1_000, 20_000, true)).toEqual([]);
    expect(watch(mender, 'failed', 21_000, 500)).toEqual([[0, 'restart']]);
  });

  it('makes a call anew that never came up', () => {
    const cures = watch(new Mender(0), 'connecting', 0, 20_000);
    expect(cures[0]?.[1]).toBe('rejoin');
    expect(cures[0]?.[0]).toBeLessThanOrEqual(8_500);
  });
});

describe('the link in a word', () => {
  const sample = (second: number, more: Partial<LinkSample> = {}): LinkSample => ({
    atMs: 10_000 + second * 1_000,
    connected: true,
    expected: true,
    received: second * 100,
    framesDecoded: second * 20,
    ...more,
  });
  const words = (samples: LinkSample[]) => {
    const judge = new LinkJudge();
    return samples.map((each) => judge.add(each, true));
  };

  it('is good while packets come', () => {
    expect(words([0, 1, 2, 3].map((s) => sample(s))).at(-1)).toBe('good');
  });

  it('is lost three seconds after the last packet', () => {
    const silent = [0, 1, 2, 3, 4, 5].map((s) => sample(s, { received: Math.min(s, 1) * 100 }));
    expect(words(silent)).toEqual(['good', 'good', 'good', 'good', 'lost', 'lost']);
  });

  it('is not lost when nobody sends anything', () => {
    const quiet = [0, 1, 2, 3, 4, 5].map((s) => sample(s, { received: 0, expected: false }));
    expect(words(quiet).at(-1)).toBe('good');
  });

  it('is lost when the connection is', () => {
    expect(words([sample(0), sample(1, { connected: false })]).at(-1)).toBe('lost');
  });

  it('goes on over a new connection whose counters start again', () => {
    const anew = [
      ...[0, 1, 2].map((s) => sample(s)),
      ...[3, 4, 5, 6].map((s) => sample(s, { received: (s - 3) * 50 + 10, framesDecoded: s })),
    ];
    expect(words(anew).at(-1)).toBe('good');
  });

  it('calls a picture frozen two seconds after its last frame', () => {
    const judge = new LinkJudge();
    for (const s of [0, 1, 2]) judge.add(sample(s), true);
    expect(judge.frozen).toBe(false);
    for (const s of [3, 4]) judge.add(sample(s, { framesDecoded: 40 }), true);
    expect(judge.frozen).toBe(true);
    judge.add(sample(5, { framesDecoded: 41 }), true);
    expect(judge.frozen).toBe(false);
  });
});

describe('camera and microphone', () => {
  it('are asked for by choice; listening asks for nothing', () => {
    expect(asksFor('camera')).toEqual({ audio: true, video: true });
    expect(asksFor('audio')).toEqual({ audio: true, video: false });
    expect(asksFor('listen')).toEqual({ audio: false, video: false });
  });

  it.each([
    ['NotAllowedError', 'denied'],
    ['NotFoundError', 'absent'],
    ['NotReadableError', 'busy'],
    ['TypeError', 'failed'],
  ])('%s is %s in our words', (name, trouble) => {
    expect(troubleOf(new DOMException('', name))).toBe(trouble);
  });
});

describe('messages', () => {
  it('of a known type are read', () => {
    expect(readMessage('{"type":"pong","n":3}')).toEqual({ type: 'pong', n: 3 });
  });

  it.each(['', '{', 'null', '[]', '"pong"', '{"n":1}', '{"type":1}', '{"type":"constructor"}'])(
    'that cannot be read, or are of a newer server, are passed over: %s',
    (text) => {
      expect(readMessage(text)).toBeNull();
    },
  );
});
