/**
 * The teacher's camera in three sizes, so that a weak link gets a small picture and nobody else's
 * suffers. The server's offer names the layers; here is what each of them may cost.
 */

/** What a picture may cost; with layers it is the largest one's share. */
export interface Cap {
  maxBitrate: number;
  maxFramerate?: number;
  scaleResolutionDownBy?: number;
}

/** Parts of the largest layer; small to large as the server offers them. */
const PARTS: Partial<Record<string, { bits: number; smaller: number }>> = {
  q: { bits: 0.13, smaller: 4 },
  h: { bits: 0.4, smaller: 2 },
  f: { bits: 1, smaller: 1 },
};
const LARGEST = 'f';

/** From a smaller picture Chromium makes two layers, and it is the largest one that it leaves out. */
const LEAST_PIXELS = 960 * 540;
/** The three cost a third more than the largest alone: a machine of few cores is spared. */
const LEAST_CORES = 4;

export interface Machine {
  hardwareConcurrency: number;
  connection?: { saveData?: boolean };
}

/** Whether this picture goes out in layers from this machine. */
export function inLayers(
  { width = 0, height = 0 }: MediaTrackSettings,
  { hardwareConcurrency, connection }: Machine,
): boolean {
  return (
    width * height >= LEAST_PIXELS &&
    hardwareConcurrency >= LEAST_CORES &&
    connection?.saveData !== true
  );
}

/** Every second frame is one that no other refers to: who is on a thin link is spared it. */
const SPARING = 'L1T2';
/** The libraries' types do not know it yet. */
export type Spared = RTCRtpEncodingParameters & { scalabilityMode?: string };

/**
 * Change how a picture goes out; `sparing` where the browser can. A bound is a courtesy: the
 * receiver's own estimate bounds the sender too.
 */
export async function shape(
  sender: Pick<RTCRtpSender, 'getParameters' | 'setParameters'>,
  change: (encodings: RTCRtpEncodingParameters[]) => void,
  sparing = true,
): Promise<void> {
  for (const spares of sparing ? [true, false] : [false]) {
    const parameters = sender.getParameters();
    if (parameters.encodings.length === 0) return;
    change(parameters.encodings);
    const encodings: Spared[] = parameters.encodings;
    for (const each of encodings) if (spares) each.scalabilityMode = SPARING;
    try {
      await sender.setParameters(parameters);
      return;
    } catch {
      // Not with temporal layers, then, or not now.
    }
  }
}

/** Bound every encoding of a picture; without `layered` only the largest of them is sent. */
export function bound(encodings: RTCRtpEncodingParameters[], cap: Cap, layered: boolean): void {
  for (const each of encodings) {
    const part = encodings.length > 1 ? PARTS[each.rid ?? ''] : undefined;
    Object.assign(each, cap);
    if (part === undefined) continue;
    each.active = layered || each.rid === LARGEST;
    each.maxBitrate = Math.round(cap.maxBitrate * part.bits);
    each.scaleResolutionDownBy = (cap.scaleResolutionDownBy ?? 1) * part.smaller;
  }
}
