/** What the family's pages ask of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';

type Schemas = components['schemas'];
export type Family = Schemas['Family'];
export type Child = Schemas['Child'];
export type Relative = Schemas['Relative'];
export type Step = Schemas['Step'];
export type Home = Schemas['Home'];
export type VisitOutside = Schemas['VisitOutside'];
export type ChildLesson = Schemas['ChildLesson'];
export type Assistance = Schemas['Assistance'];
export type Desk = Schemas['Desk'];
export type ShownCode = Schemas['ShownCode'];

const tie = (id: string) => ({ params: { path: { guardianship_id: id } } });
const child = (id: string) => ({ params: { path: { child_id: id } } });
const help = (id: string) => ({ params: { path: { assistance_id: id } } });

export const loadHome = (): Promise<Home> => ask(api.GET('/api/v1/home'));
export const loadFamily = (): Promise<Family> => ask(api.GET('/api/v1/family'));

export const askFor = (code: string): Promise<unknown> =>
  ask(api.POST('/api/v1/family/guardianships', { body: { code } }));
export const confirm = (id: string): Promise<unknown> =>
  ask(api.POST('/api/v1/family/guardianships/{guardianship_id}/confirm', tie(id)));
export const agree = (id: string): Promise<unknown> =>
  ask(api.POST('/api/v1/family/guardianships/{guardianship_id}/agree', tie(id)));
export const end = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/family/guardianships/{guardianship_id}', tie(id)));
export const shareHealth = (id: string, until: Date): Promise<unknown> =>
  ask(
    api.PUT('/api/v1/family/guardianships/{guardianship_id}/share', {
      ...tie(id),
      body: { until: until.toISOString() },
    }),
  );
export const endShare = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/family/guardianships/{guardianship_id}/share', tie(id)));

/** A code for the person's own screen: whoever asks to be a guardian scans it. */
export const showCode = (): Promise<ShownCode> => ask(api.POST('/api/v1/family/code'));

export const loadChild = (id: string): Promise<Child> =>
  ask(api.GET('/api/v1/children/{child_id}', child(id)));
export const loadVisits = (id: string): Promise<VisitOutside[]> =>
  ask(api.GET('/api/v1/children/{child_id}/visits', child(id)));
export const loadLessons = (id: string): Promise<ChildLesson[]> =>
  ask(api.GET('/api/v1/children/{child_id}/lessons', child(id)));

export const loadHelp = (): Promise<Assistance[]> => ask(api.GET('/api/v1/assistance'));
export const loadDesk = (id: string): Promise<Desk> =>
  ask(api.GET('/api/v1/assistance/{assistance_id}', help(id)));
export const stopHelp = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/assistance/{assistance_id}', help(id)));
