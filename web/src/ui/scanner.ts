/** The camera as a reader of QR codes: one code is given, once. */

const EVERY_MS = 150;
/** Larger pictures are no easier to read, only slower. */
const SIDE = 720;

/** Look through the camera until a text is read that `take` accepts; answers how to stop. */
export async function watchCamera(
  video: HTMLVideoElement,
  take: (text: string) => boolean,
): Promise<() => void> {
  const [{ default: decodeQR }, stream] = await Promise.all([
    import('qr/decode.js'),
    navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } }),
  ]);
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const stop = (): void => {
    clearInterval(timer);
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  };
  const look = (): void => {
    const { videoWidth, videoHeight } = video;
    if (context === null || videoWidth === 0) return;
    const scale = Math.min(1, SIDE / Math.max(videoWidth, videoHeight));
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const picture = context.getImageData(0, 0, canvas.width, canvas.height);
    try {
      if (take(decodeQR(picture))) stop();
    } catch {
      // No code in this picture.
    }
  };
  const timer = setInterval(look, EVERY_MS);
  video.srcObject = stream;
  await video.play();
  return stop;
}
