/** What the section of erasures and holds asks of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import { isKey, t } from '../i18n/t';

type Schemas = components['schemas'];
export type Plan = Schemas['ErasurePlan'];
export type Request = Schemas['ErasureRequest'];
export type Done = Schemas['Erasure'];
export type Hold = Schemas['Hold'];
export type KeptFor = Schemas['KeptFor'];
export type Reason = Schemas['ErasureReason'];
export type KeepReason = Schemas['KeepReason'];

export const REASONS = ['asked', 'term_over', 'court', 'mistake'] as const;
export const KEEP_REASONS = ['must_keep', 'in_care', 'dispute'] as const;
/** What the agreement of others takes away; the rest is this organisation's own to do. */
const WAITS = ['elsewhere', 'records_elsewhere'];

const ROOT = '/api/v1/organisations/{organisation_id}';
const at = (org: string) => ({ params: { path: { organisation_id: org } } });
const of = (org: string, request: string) => ({
  params: { path: { organisation_id: org, request_id: request } },
});

export interface Desk {
  requests: Request[];
  holds: Hold[];
  done: Done[];
  kept: KeptFor[];
}

export async function load(org: string): Promise<Desk> {
  const [requests, holds, done, kept] = await Promise.all([
    ask(api.GET(`${ROOT}/erasure-requests`, at(org))),
    ask(api.GET(`${ROOT}/holds`, at(org))),
    ask(api.GET(`${ROOT}/erasures`, at(org))),
    ask(api.GET(`${ROOT}/retention`, at(org))),
  ]);
  return { requests, holds, done, kept };
}

export const loadPlan = (org: string, person: string): Promise<Plan> =>
  ask(
    api.GET(`${ROOT}/people/{person_id}/erasure`, {
      params: { path: { organisation_id: org, person_id: person } },
    }),
  );

export const erase = (org: string, person: string, reason: Reason): Promise<Done> =>
  ask(api.POST(`${ROOT}/erasures`, { ...at(org), body: { person_id: person, reason } }));

export const askOthers = (org: string, person: string, reason: Reason): Promise<Request> =>
  ask(api.POST(`${ROOT}/erasure-requests`, { ...at(org), body: { person_id: person, reason } }));

export const agree = (org: string, request: string): Promise<Request> =>
  ask(
    api.POST(`${ROOT}/erasure-requests/{request_id}/answer`, {
      ...of(org, request),
      body: { answer: 'agreed', why: null },
    }),
  );

export const refuse = (org: string, request: string, why: KeepReason): Promise<Request> =>
  ask(
    api.POST(`${ROOT}/erasure-requests/{request_id}/answer`, {
      ...of(org, request),
      body: { answer: 'refused', why },
    }),
  );

export const withdraw = (org: string, request: string): Promise<unknown> =>
  ask(api.POST(`${ROOT}/erasure-requests/{request_id}/withdraw`, of(org, request)));

export const setHold = (
  org: string,
  person: string,
  reason: string,
  until: string | null,
): Promise<Hold> =>
  ask(api.POST(`${ROOT}/holds`, { ...at(org), body: { person_id: person, reason, until } }));

export const liftHold = (org: string, hold: string): Promise<unknown> =>
  ask(
    api.POST(`${ROOT}/holds/{hold_id}/lift`, {
      params: { path: { organisation_id: org, hold_id: hold } },
    }),
  );

/** What stands against it that this organisation, or nobody, can take away by itself. */
export const standing = (plan: Plan): string[] =>
  plan.against.filter((word) => !WAITS.includes(word));

/** The sentence of a reason that stands against an erasure. */
export function againstText(word: string): string {
  const key = `erasures.against_${word}`;
  return isKey(key) ? t(key) : t('erasures.against_other');
}

/** The sentence of why somebody is erased; the code when the server is newer than this page. */
export function reasonText(reason: string): string {
  const key = `erasures.reason_${reason}`;
  return isKey(key) ? t(key) : reason;
}

/** What a class of retention is called. */
export function keptName(name: string): string {
  const key = `erasures.kept_${name}`;
  return isKey(key) ? t(key) : name;
}

export function keptFor({ days, years }: KeptFor): string {
  if (years !== null && years !== undefined) return t('erasures.kept_years', { count: years });
  if (days !== null && days !== undefined) return t('erasures.kept_days', { count: days });
  return t('erasures.kept_for_ever');
}

/** Whether the same name was typed, however it is spaced or capitalised. */
export function sameName(typed: string, name: string): boolean {
  const plain = (text: string) => text.trim().replace(/\s+/gu, ' ').toLocaleLowerCase('ru');
  return plain(typed) === plain(name);
}
