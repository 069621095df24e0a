import { afterEach, expect, it, vi } from 'vitest';
import { readPicture, watchCamera } from '../../src/ui/scanner';

const PICTURE = new Blob(['as if it were a photo'], { type: 'image/jpeg' });

function browser(detect: (() => Promise<{ rawValue: string }[]>) | null): { closed: number } {
  const seen = { closed: 0 };
  vi.stubGlobal('createImageBitmap', () =>
    Promise.resolve({ width: 4000, height: 3000, close: () => (seen.closed += 1) }),
  );
  // jsdom draws nothing: what counts here is who is asked, and how often.
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(null);
  if (detect !== null) {
    vi.stubGlobal(
      'BarcodeDetector',
      class {
        static getSupportedFormats = () => Promise.resolve(['qr_code', 'ean_13']);
        detect = detect;
      },
    );
  }
  return seen;
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it("asks the browser's own reader where there is one, and lets the picture go", async () => {
  const seen = browser(() => Promise.resolve([{ rawValue: 'a.b' }]));
  expect(await readPicture(PICTURE)).toBe('a.b');
  expect(seen.closed).toBe(1);
});

it('looks closer at a large photo before it says that there is no code', async () => {
  const detect = vi.fn(() => Promise.resolve([]));
  const seen = browser(detect);
  expect(await readPicture(PICTURE)).toBeNull();
  expect(detect).toHaveBeenCalledTimes(3);
  expect(seen.closed).toBe(1);
});

it("goes on without the browser's reader when that fails", async () => {
  const seen = browser(() => Promise.reject(new Error('service unavailable')));
  expect(await readPicture(PICTURE)).toBeNull();
  expect(seen.closed).toBe(1);
});

it('finds nothing in what is no picture', async () => {
  vi.stubGlobal('createImageBitmap', () =>
    Promise.reject(new DOMException('', 'InvalidStateError')),
  );
  expect(await readPicture(new Blob(['text'], { type: 'image/png' }))).toBeNull();
});

it('switches the camera off when its picture cannot be shown', async () => {
  const stop = vi.fn();
  vi.stubGlobal('navigator', {
    mediaDevices: { getUserMedia: () => Promise.resolve({ getTracks: () => [{ stop }] }) },
  });
  const gone = new DOMException('removed', 'AbortError');
  const video = { play: () => Promise.reject(gone), videoWidth: 0, videoHeight: 0 };
  const watched = watchCamera(video as unknown as HTMLVideoElement, () => true);
  await expect(watched).rejects.toBe(gone);
  expect(stop).toHaveBeenCalledOnce();
});
