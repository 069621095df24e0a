/** The camera, or a picture, as a reader of QR codes: one code is given, once. */

const EVERY_MS = 150;
/** Larger pictures are no easier to read, only slower. */
const SIDE = 720;
/** A photo of a whole page: the code is small on it. Looked at coarsely first. */
const PHOTO_SIDES = [SIDE, 1600, 3200];

type Read = (canvas: HTMLCanvasElement) => Promise<string | null>;

/** What a browser that reads codes by itself offers; not in the types of browsers yet. */
interface Detector {
  detect: (source: HTMLCanvasElement) => Promise<{ rawValue: string }[]>;
}
interface DetectorClass {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats: () => Promise<string[]>;
}

async function ownDetector(): Promise<Detector | null> {
  const found = (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;
  try {
    const formats = (await found?.getSupportedFormats()) ?? [];
    return found && formats.includes('qr_code') ? new found({ formats: ['qr_code'] }) : null;
  } catch {
    return null;
  }
}

/** The browser's own reader where it has one, and ours where it has none or finds nothing. */
async function reader(): Promise<Read> {
  const [{ default: decodeQR }, detector] = await Promise.all([
    import('qr/decode.js'),
    ownDetector(),
  ]);
  return async (canvas) => {
    try {
      const [found] = (await detector?.detect(canvas)) ?? [];
      if (found?.rawValue) return found.rawValue;
    } catch {
      // Its service may be missing on this device: ours goes on.
    }
    const picture = canvas
      .getContext('2d', { willReadFrequently: true })
      ?.getImageData(0, 0, canvas.width, canvas.height);
    try {
      return picture ? decodeQR(picture) : null;
    } catch {
      return null; // No code in this picture.
    }
  };
}

function draw(
  canvas: HTMLCanvasElement,
  source: CanvasImageSource,
  { width, height }: { width: number; height: number },
  side: number,
): void {
  const scale = Math.min(1, side / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context?.drawImage(source, 0, 0, canvas.width, canvas.height);
}

/** Look through the camera until a text is read that `take` accepts; answers how to stop. */
export async function watchCamera(
  video: HTMLVideoElement,
  take: (text: string) => boolean,
): Promise<() => void> {
  // The reader first: a camera that is on and that nobody looks through could not be switched off.
  const read = await reader();
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: 'environment' },
  });
  const canvas = document.createElement('canvas');
  let reading = false;
  let over = false;
  const stop = (): void => {
    over = true;
    clearInterval(timer);
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  };
  const look = async (): Promise<void> => {
    const { videoWidth: width, videoHeight: height } = video;
    if (reading || width === 0) return;
    reading = true;
    draw(canvas, video, { width, height }, SIDE);
    const text = await read(canvas);
    reading = false;
    if (text !== null && !over && take(text)) stop();
  };
  const timer = setInterval(() => void look(), EVERY_MS);
  video.srcObject = stream;
  try {
    await video.play();
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}

/** The text of a code on a picture; null when there is none, or it is no picture. */
export async function readPicture(file: Blob): Promise<string | null> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  try {
    const read = await reader();
    const canvas = document.createElement('canvas');
    const largest = Math.max(bitmap.width, bitmap.height);
    for (const [index, side] of PHOTO_SIDES.entries()) {
      // Once the whole picture was looked at, more of it there is not.
      if (index > 0 && largest <= (PHOTO_SIDES[index - 1] ?? 0)) break;
      draw(canvas, bitmap, bitmap, side);
      const text = await read(canvas);
      if (text !== null) return text;
    }
    return null;
  } finally {
    bitmap.close();
  }
}
