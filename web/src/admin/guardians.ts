/** What the guardians' section asks of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';

type Schemas = components['schemas'];
export type ManagedTie = Schemas['ManagedTie'];
export type Limit = Schemas['Limit'];
export type NewLimit = Schemas['NewLimit'];
export type NewGuardian = Schemas['NewGuardian'];

const ROOT = '/api/v1/organisations/{organisation_id}';
const at = (org: string) => ({ organisation_id: org });
const of = (org: string, id: string) => ({ ...at(org), guardianship_id: id });

export const load = (org: string): Promise<ManagedTie[]> =>
  ask(api.GET(`${ROOT}/guardianships`, { params: { path: at(org) } }));

/** Ties whose child or guardian has this in the name. */
export function named(ties: readonly ManagedTie[], part: string): readonly ManagedTie[] {
  const wanted = part.trim().toLocaleLowerCase();
  return ties.filter(({ child, guardian }) =>
    [child, guardian].some(({ name }) => name.toLocaleLowerCase().includes(wanted)),
  );
}

export const appoint = (org: string, body: NewGuardian): Promise<unknown> =>
  ask(api.POST(`${ROOT}/guardianships`, { params: { path: at(org) }, body }));

export const confirm = (org: string, id: string): Promise<unknown> =>
  ask(
    api.POST(`${ROOT}/guardianships/{guardianship_id}/confirm`, { params: { path: of(org, id) } }),
  );

export const end = (org: string, id: string): Promise<unknown> =>
  ask(api.DELETE(`${ROOT}/guardianships/{guardianship_id}`, { params: { path: of(org, id) } }));

export const limit = (org: string, id: string, body: NewLimit): Promise<unknown> =>
  ask(
    api.POST(`${ROOT}/guardianships/{guardianship_id}/limits`, {
      params: { path: of(org, id) },
      body,
    }),
  );

export const lift = (org: string, id: string): Promise<unknown> =>
  ask(api.DELETE(`${ROOT}/limits/{limit_id}`, { params: { path: { ...at(org), limit_id: id } } }));
