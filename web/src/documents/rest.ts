/** What the pages of documents ask of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';

type Schemas = components['schemas'];
export type DocumentSummary = Schemas['DocumentSummary'];
export type Document = Schemas['Document'];
export type Content = Document['content'];
export type DeliveryDesk = Schemas['DeliveryDesk'];
export type Delivery = Schemas['Delivery'];
export type Kind = Content['kind'];
export type Audience = 'full' | 'school';

/** The word for a state: of two that are true it is the one that warns. */
export const wordOf = (one: Pick<DocumentSummary, 'state' | 'untrusted'>) =>
  one.untrusted ? 'untrusted' : one.state;

export const TONES: Partial<Record<ReturnType<typeof wordOf>, 'good' | 'danger'>> = {
  signed: 'good',
  untrusted: 'danger',
};

const at = (id: string) => ({ params: { path: { document_id: id } } });

export const loadMine = (person: string, before?: string): Promise<Schemas['DocumentPage']> =>
  ask(
    api.GET('/api/v1/records/{person_id}/documents', {
      params: { path: { person_id: person }, query: before === undefined ? {} : { before } },
    }),
  );
export const loadOfVisit = (visit: string): Promise<DocumentSummary[]> =>
  ask(api.GET('/api/v1/visits/{visit_id}/documents', { params: { path: { visit_id: visit } } }));
export const begin = (visit: string, content: Content): Promise<Document> =>
  ask(
    api.POST('/api/v1/visits/{visit_id}/documents', {
      params: { path: { visit_id: visit } },
      body: { content },
    }),
  );
export const loadDocument = (id: string): Promise<Document> =>
  ask(api.GET('/api/v1/documents/{document_id}', at(id)));
export const change = (id: string, content: Content, changes: number): Promise<Document> =>
  ask(api.PUT('/api/v1/documents/{document_id}', { ...at(id), body: { content, changes } }));
export const discard = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/documents/{document_id}', at(id)));
export const sign = (id: string, changes: number): Promise<Document> =>
  ask(api.POST('/api/v1/documents/{document_id}/sign', { ...at(id), body: { changes } }));
export const revoke = async (id: string, reason: string): Promise<Document> => {
  await ask(api.POST('/api/v1/documents/{document_id}/revoke', { ...at(id), body: { reason } }));
  return loadDocument(id);
};
export const nextVersion = (id: string): Promise<Document> =>
  ask(api.POST('/api/v1/documents/{document_id}/versions', at(id)));
export const loadDesk = (id: string): Promise<DeliveryDesk> =>
  ask(api.GET('/api/v1/documents/{document_id}/deliveries', at(id)));
export const give = (id: string, organisation_id: string): Promise<DeliveryDesk> =>
  ask(
    api.POST('/api/v1/documents/{document_id}/deliveries', {
      ...at(id),
      body: { organisation_id },
    }),
  );
export const answer = (id: string, accepted: boolean, reason = ''): Promise<unknown> =>
  ask(
    api.POST('/api/v1/deliveries/{delivery_id}/answer', {
      params: { path: { delivery_id: id } },
      body: { accepted, reason },
    }),
  );

/** Where a file of a signed document is: a link that the browser follows by itself. */
export const fileAddress = (id: string, form: 'pdf' | 'json', audience: Audience): string =>
  `/api/v1/documents/${id}/file?form=${form}&audience=${audience}`;
