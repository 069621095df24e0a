// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { bound, inLayers, shape, type Spared } from '../../src/call/layers';

const CAP = { maxBitrate: 900_000, maxFramerate: 24, scaleResolutionDownBy: 1.5 };
const offered = (): RTCRtpEncodingParameters[] => ['q', 'h', 'f'].map((rid) => ({ rid }));
const wide = { width: 960, height: 540 };
const strong = { hardwareConcurrency: 4 };

describe('a camera in layers', () => {
  it('gives each layer its part of the size and of the bits', () => {
    const encodings = offered();
    bound(encodings, CAP, true);
    expect(encodings).toEqual([
      { rid: 'q', active: true, maxBitrate: 117_000, maxFramerate: 24, scaleResolutionDownBy: 6 },
      { rid: 'h', active: true, maxBitrate: 360_000, maxFramerate: 24, scaleResolutionDownBy: 3 },
      { rid: 'f', active: true, maxBitrate: 900_000, maxFramerate: 24, scaleResolutionDownBy: 1.5 },
    ]);
  });

  it('sends only the largest when it cannot afford more, and the others when it can again', () => {
    const encodings = offered();
    bound(encodings, CAP, false);
    expect(encodings.map(({ active }) => active)).toEqual([false, false, true]);
    bound(encodings, CAP, true);
    expect(encodings.map(({ active }) => active)).toEqual([true, true, true]);
  });

  it('bounds a picture that goes out once as before, whatever its name', () => {
    for (const rid of [undefined, 'f', 'q']) {
      const encodings = [{ rid, active: true }] as RTCRtpEncodingParameters[];
      bound(encodings, CAP, false);
      expect(encodings).toEqual([{ rid, active: true, ...CAP }]);
    }
  });

  it('asks for a wide picture, four cores and no wish to save', () => {
    expect(inLayers(wide, strong)).toBe(true);
    expect(inLayers({ width: 540, height: 960 }, strong)).toBe(true);
    expect(inLayers({ width: 640, height: 480 }, strong)).toBe(false);
    expect(inLayers({}, strong)).toBe(false);
    expect(inLayers(wide, { hardwareConcurrency: 2 })).toBe(false);
    expect(inLayers(wide, { ...strong, connection: { saveData: true } })).toBe(false);
    expect(inLayers(wide, { ...strong, connection: {} })).toBe(true);
  });
});

describe('a picture in two rates', () => {
  const browser = (takes: (mode: string | undefined) => boolean) => {
    const taken: (string | undefined)[] = [];
    return {
      taken,
      getParameters: () => ({ encodings: offered() }) as RTCRtpSendParameters,
      setParameters: (parameters: RTCRtpSendParameters) => {
        const encodings: Spared[] = parameters.encodings;
        const modes = encodings.map(({ scalabilityMode }) => scalabilityMode);
        if (!modes.every(takes)) return Promise.reject(new Error('unsupported'));
        taken.push(...modes);
        return Promise.resolve();
      },
    };
  };

  it('is asked for where the browser can, and goes out as ever where it cannot', async () => {
    const able = browser(() => true);
    await shape(able, () => undefined);
    expect(able.taken).toEqual(['L1T2', 'L1T2', 'L1T2']);
    const unable = browser((mode) => mode === undefined);
    let changes = 0;
    await shape(unable, () => (changes += 1));
    expect(unable.taken).toEqual([undefined, undefined, undefined]);
    expect(changes).toBe(2);
    const screen = browser(() => true);
    await shape(screen, () => undefined, false);
    expect(screen.taken).toEqual([undefined, undefined, undefined]);
  });
});
