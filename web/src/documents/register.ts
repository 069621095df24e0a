/** The register of an organisation: what it signed, by number, and no word of what that says. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import type { DocumentSummary } from './rest';

type Schemas = components['schemas'];
export type Issued = Schemas['IssuedDocument'];
export type IssuedPage = Schemas['IssuedPage'];

export const loadIssued = (org: string, before?: string): Promise<IssuedPage> =>
  ask(
    api.GET('/api/v1/organisations/{organisation_id}/documents/issued', {
      params: { path: { organisation_id: org }, query: before === undefined ? {} : { before } },
    }),
  );

/** The document of a number, with whose it is: each look leaves a row in the audit. */
export async function findIssued(org: string, number: string): Promise<DocumentSummary | null> {
  const found = await ask(
    api.GET('/api/v1/organisations/{organisation_id}/register', {
      params: { path: { organisation_id: org }, query: { number } },
    }),
  );
  return found[0] ?? null;
}

export const revokeIssued = (id: string, reason: string): Promise<DocumentSummary> =>
  ask(
    api.POST('/api/v1/documents/{document_id}/revoke', {
      params: { path: { document_id: id } },
      body: { reason },
    }),
  );

/** A number as it stands in the register: 2026-000012. */
export const isNumber = (text: string): boolean => /^\d{4}-\d{6,}$/.test(text);
