/** The TURN servers that the house told this page last: their credentials end within the hour. */

let newest: RTCIceServer[] = [];

export function iceServersAre(told: RTCIceServer[]): void {
  newest = told;
}

/** What connections are made with, and what they take up again when their way is looked for anew. */
export function wayOut(): RTCConfiguration {
  return { bundlePolicy: 'max-bundle', iceServers: newest };
}
