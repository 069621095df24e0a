/** What the office of a school asks about papers that families gave it. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import type { Me } from '../api/types';
import { fileToBase64 } from '../verify/check';

type Schemas = components['schemas'];
export type Received = Schemas['Received'];
export type ReceivedPage = Schemas['ReceivedPage'];
type Checked = Schemas['Checked'];

/** What stands in the form made for schools. */
export interface SchoolForm {
  absent_from?: string;
  absent_until?: string;
  sports_until?: string;
}

export interface Shown {
  state: Checked['state'];
  said: SchoolForm;
}

/** The schools at whose desk this person sits. */
export function desksOf(person: Me | null): { id: string; name: string }[] {
  const found = new Map<string, string>();
  for (const { role, organisation_id, organisation_name, organisation_kind } of person?.roles ??
    []) {
    const sits = role === 'administrator' || role === 'clerk';
    if (sits && organisation_kind === 'school' && organisation_id !== null) {
      found.set(organisation_id, organisation_name ?? '');
    }
  }
  return [...found].map(([id, name]) => ({ id, name }));
}

export const loadReceived = (school: string, before?: string): Promise<ReceivedPage> =>
  ask(
    api.GET('/api/v1/organisations/{organisation_id}/documents', {
      params: {
        path: { organisation_id: school },
        query: before === undefined ? {} : { before },
      },
    }),
  );

/** Reads the signed form and has it judged as anybody's paper is: what is shown is what was signed. */
export async function readForm(delivery: string): Promise<Shown> {
  const bytes = await ask(
    api.GET('/api/v1/deliveries/{delivery_id}/file', {
      params: { path: { delivery_id: delivery }, query: { form: 'json' } },
      parseAs: 'arrayBuffer',
    }),
  );
  const file = fileToBase64(new Uint8Array(bytes));
  const { state } = await ask(api.POST('/api/v1/verify/file', { body: { file } }));
  if (state === 'forged') return { state, said: {} };
  const { body } = JSON.parse(new TextDecoder().decode(bytes)) as { body: { content: SchoolForm } };
  return { state, said: body.content };
}

export const printAddress = (delivery: string): string =>
  `/api/v1/deliveries/${delivery}/file?form=pdf`;
