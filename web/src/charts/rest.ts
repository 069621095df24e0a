/** What a chart asks of the API. */

import { api, ask } from '../api/client';
import type { components, operations } from '../api/schema';
import type { Asked } from './spans';

export type Chart = components['schemas']['Chart'];
export type Line = components['schemas']['Line'];
export type Band = components['schemas']['Band'];
export type Mark = components['schemas']['Mark'];
export type ChartKind = operations['recordChart']['parameters']['query']['kind'];

const asQuery = (kind: ChartKind, { since, until, bands }: Asked) => ({
  kind,
  since: since.toISOString(),
  until: until.toISOString(),
  bands,
});

export const recordChart = (person: string, kind: ChartKind, asked: Asked): Promise<Chart> =>
  ask(
    api.GET('/api/v1/records/{person_id}/chart', {
      params: { path: { person_id: person }, query: asQuery(kind, asked) },
    }),
  );

export const visitChart = (visit: string, kind: ChartKind, asked: Asked): Promise<Chart> =>
  ask(
    api.GET('/api/v1/visits/{visit_id}/chart', {
      params: { path: { visit_id: visit }, query: asQuery(kind, asked) },
    }),
  );
