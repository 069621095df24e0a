/** What the digital profile asks of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';

type Schemas = components['schemas'];
export type ShownCode = Schemas['ShownCode'];
export type Share = Schemas['Share'];
export type Scan = Schemas['Scan'];
export type Field = Share['fields'][number];
/** What a code is shown for: a doctor's look, or help at the desk. */
export type Purpose = Schemas['NewCode']['purpose'];

export const FIELDS: readonly Field[] = ['identity', 'readings', 'visits'];

const at = (id: string) => ({ params: { path: { share_id: id } } });

export const showCode = (purpose: Purpose, person: string | null): Promise<ShownCode> =>
  ask(api.POST('/api/v1/codes', { body: { purpose, person_id: person } }));
export const loadShares = (): Promise<Share[]> => ask(api.GET('/api/v1/shares'));
export const confirmShare = (
  id: string,
  fields: Field[],
  version: number,
  hours: number,
): Promise<Share> =>
  ask(
    api.POST('/api/v1/shares/{share_id}/confirm', { ...at(id), body: { fields, version, hours } }),
  );
export const refuseShare = (id: string): Promise<Share> =>
  ask(api.POST('/api/v1/shares/{share_id}/refuse', at(id)));
export const endShare = (id: string): Promise<Share> =>
  ask(api.POST('/api/v1/shares/{share_id}/end', at(id)));

export const scan = (code: string, organisation: string, fields: Field[]): Promise<Scan> =>
  ask(api.POST('/api/v1/scans', { body: { code, organisation_id: organisation, fields } }));
export const loadScan = (id: string): Promise<Scan> =>
  ask(api.GET('/api/v1/scans/{share_id}', at(id)));
export const assist = (
  code: string,
  organisation: string,
): Promise<components['schemas']['Assistance']> =>
  ask(api.POST('/api/v1/assistance', { body: { code, organisation_id: organisation } }));
