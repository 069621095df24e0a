import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import { isKey, t } from '../i18n/t';

/** The people of an organisation, as its administrator asks for them. */
type Schemas = components['schemas'];
export type PeopleHere = Schemas['PeopleHere'];
export type PersonHere = Schemas['PersonHere'];
export type WornHat = Schemas['WornHat'];
export type OrganisationKind = Schemas['OrganisationKind'];
export type Which = 'here' | 'staff' | 'let_go';
export type Role = Schemas['RosterRole'];
export type NewPerson = Schemas['NewPerson'];

/** Hats an administrator gives and takes, in the order they are shown. */
export const HATS = ['duty', 'clerkship', 'administration', 'attachment'] as const;
export type Hat = (typeof HATS)[number];

export const hatsOf = (kind: OrganisationKind): readonly Hat[] =>
  kind === 'clinic' ? HATS : HATS.filter((hat) => hat !== 'attachment');

export const rolesOf = (kind: OrganisationKind): readonly Role[] =>
  kind === 'clinic'
    ? ['patient', 'parent', 'doctor', 'clerk']
    : ['pupil', 'parent', 'teacher', 'clerk'];

/** What a hat is called where it is worn. */
export function hatName(hat: Hat, kind: OrganisationKind): string {
  return t(hat === 'duty' ? `admin.hat_duty_${kind}` : `admin.hat_${hat}`);
}

/** What a worn hat is called; of a pupil, the class. */
export function wornName(worn: WornHat, kind: OrganisationKind): string {
  if (worn.kind === 'class') return t('admin.hat_class', { name: worn.class_name ?? '' });
  const hat = HATS.find((one) => one === worn.kind);
  return hat === undefined ? '' : hatName(hat, kind);
}

/** Why a field or row is refused, as a sentence. */
export function faultText(code: string): string {
  const key = `admin.fault_${code}`;
  return isKey(key) ? t(key) : t('admin.fault_other');
}

const PEOPLE = '/api/v1/organisations/{organisation_id}/people';
const PERSON = '/api/v1/organisations/{organisation_id}/people/{person_id}';
const FACTORS = '/api/v1/organisations/{organisation_id}/people/{person_id}/reset-factors';
const HAT = '/api/v1/organisations/{organisation_id}/people/{person_id}/hats/{hat}';

export function listPeople(
  org: string,
  which: Which,
  search: string,
  after: string | null = null,
): Promise<PeopleHere> {
  const query = { which, search, ...(after === null ? {} : { after }) };
  return ask(api.GET(PEOPLE, { params: { path: { organisation_id: org }, query } }));
}

export function addPerson(org: string, body: NewPerson): Promise<{ id: string }> {
  return ask(api.POST(PEOPLE, { params: { path: { organisation_id: org } }, body }));
}

const whose = (org: string, person: string) => ({ organisation_id: org, person_id: person });

export async function setHat(org: string, person: string, hat: Hat, on: boolean): Promise<void> {
  const params = { path: { ...whose(org, person), hat } };
  await ask(on ? api.PUT(HAT, { params }) : api.DELETE(HAT, { params }));
}

export async function letGo(org: string, person: string): Promise<void> {
  await ask(api.DELETE(PERSON, { params: { path: whose(org, person) } }));
}

export async function takeBack(org: string, person: string): Promise<void> {
  await ask(api.PUT(PERSON, { params: { path: whose(org, person) } }));
}

export async function resetFactors(org: string, person: string): Promise<void> {
  await ask(api.POST(FACTORS, { params: { path: whose(org, person) } }));
}
