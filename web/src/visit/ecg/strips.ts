/** Strips of ECG attached to the record. */

import { api, ask } from '../../api/client';
import type { components } from '../../api/schema';

export type EcgStrip = components['schemas']['EcgStrip'];
export type NewStrip = components['schemas']['NewStrip'];

/** No strip is longer. */
export const LONGEST_S = 30;
const LENGTHS_S = [10, LONGEST_S];
export const REMARK_LENGTH = 500;

export const loadStrips = (visitId: string): Promise<EcgStrip[]> =>
  ask(api.GET('/api/v1/visits/{visit_id}/ecg-strips', { params: { path: { visit_id: visitId } } }));

/** The id is the page's: sent again after a lost answer it is the same strip. */
export const attachStrip = (visitId: string, stream: string, body: NewStrip): Promise<EcgStrip> =>
  ask(
    api.POST('/api/v1/visits/{visit_id}/ecg/{stream_id}/strips', {
      params: { path: { visit_id: visitId, stream_id: stream } },
      body,
    }),
  );

export const stripUrl = (visitId: string, stripId: string, ending: 'svg' | 'pdf'): string =>
  `/api/v1/visits/${visitId}/ecg-strips/${stripId}/${ending}`;

/** How long a strip may be (s): as much as is in view, and the usual lengths there is signal for. */
export function lengths(seenS: number, heldS: number): number[] {
  const seen = Math.min(seenS, heldS, LONGEST_S);
  return [seen, ...LENGTHS_S.filter((s) => s <= heldS && Math.abs(s - seen) > 0.5)].sort(
    (a, b) => a - b,
  );
}
