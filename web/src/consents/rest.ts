/** What the page of consents asks of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';

type Schemas = components['schemas'];
export type ConsentsOf = Schemas['ConsentsOf'];
export type Asked = Schemas['Asked'];
export type Consent = Schemas['Consent'];
export type ConsentText = Schemas['ConsentText'];
export type NewConsent = Schemas['NewConsent'];
export type Audience = NonNullable<NewConsent['audience']>;

const at = (id: string) => ({ params: { path: { consent_id: id } } });

export const loadConsents = (): Promise<ConsentsOf[]> => ask(api.GET('/api/v1/consents'));
export const giveConsent = (word: NewConsent): Promise<Consent> =>
  ask(api.POST('/api/v1/consents', { body: word }));
export const withdrawConsent = (id: string): Promise<Consent> =>
  ask(api.POST('/api/v1/consents/{consent_id}/withdraw', at(id)));
export const loadText = (id: string): Promise<ConsentText> =>
  ask(api.GET('/api/v1/consents/{consent_id}/text', at(id)));
