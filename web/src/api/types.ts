import type { components } from './schema';

/** Short names for what the API speaks of. */
type Schemas = components['schemas'];

export type Me = Schemas['Me'];
export type SecondStep = Schemas['SecondStep'];
export type Factors = Schemas['Factors'];
export type Session = Schemas['Session'];
export type VisitSummary = Schemas['VisitSummary'];
export type Visit = Schemas['Visit'];
export type LessonSummary = Schemas['LessonSummary'];
export type Lesson = Schemas['Lesson'];
export type Day = Schemas['Day'];
export type Reading = Schemas['Reading'];
export type EcgStreamInfo = Schemas['EcgStreamInfo'];
export type Note = Schemas['Note'];
export type VisitFile = Schemas['VisitFile'];
export type Notice = Schemas['Notice'];
export type NoticeTarget = Schemas['NoticeTarget'];
export type NoticeWays = Schemas['NoticeWays'];
export type NoticeOffers = Schemas['NoticeOffers'];
export type Letter = Schemas['Letter'];
