import type { Day, LessonSummary, VisitSummary } from '../../api/types';
import { lessonHash, visitHash } from '../../router';

/** Where a meeting stands, seen from now; pages make words of it. */
export type Phase = 'now' | 'start' | 'wait' | 'soon' | 'booked' | 'closed' | 'passed';

/** A visit or a lesson, as one line of the day. */
export interface Meeting {
  kind: 'visit' | 'lesson';
  id: string;
  href: string;
  starts: Date;
  ends: Date;
  /** The other person of a visit; the title of a lesson. */
  title: string;
  /** The other person's id, for a visit: their colour. */
  personId: string | null;
  /** The organisation of a visit; subject and class of a lesson. */
  where: string;
  otherSide: 'doctor' | 'patient' | null;
  phase: Phase;
  minutesLeft: number;
}

const MINUTE_MS = 60_000;
const SOON_MINUTES = 90;

function before(starts: Date, now: Date): { phase: Phase; minutesLeft: number } {
  const minutesLeft = Math.ceil((starts.getTime() - now.getTime()) / MINUTE_MS);
  return { phase: minutesLeft <= SOON_MINUTES ? 'soon' : 'booked', minutesLeft };
}

function ofVisit(visit: VisitSummary, now: Date): Meeting {
  const starts = new Date(visit.starts_at);
  const ends = new Date(visit.ends_at);
  let state: { phase: Phase; minutesLeft: number } = { phase: 'closed', minutesLeft: 0 };
  if (visit.state === 'open') state = { phase: 'now', minutesLeft: 0 };
  else if (visit.state === 'booked') {
    if (now < starts) state = before(starts, now);
    else if (now > ends) state = { phase: 'passed', minutesLeft: 0 };
    else state = { phase: visit.my_side === 'doctor' ? 'start' : 'wait', minutesLeft: 0 };
  }
  return {
    kind: 'visit',
    id: visit.id,
    href: visitHash(visit.id),
    starts,
    ends,
    title: visit.other.name,
    personId: visit.other.id,
    where: visit.organisation.name,
    otherSide: visit.my_side === 'doctor' ? 'patient' : 'doctor',
    ...state,
  };
}

function ofLesson(lesson: LessonSummary, now: Date): Meeting {
  const starts = new Date(lesson.starts_at);
  const ends = new Date(lesson.ends_at);
  let state: { phase: Phase; minutesLeft: number } = { phase: 'now', minutesLeft: 0 };
  if (now < starts) state = before(starts, now);
  else if (now >= ends) state = { phase: 'closed', minutesLeft: 0 };
  return {
    kind: 'lesson',
    id: lesson.id,
    href: lessonHash(lesson.id),
    starts,
    ends,
    title: lesson.title,
    personId: null,
    where: [lesson.subject, lesson.class_name].filter(Boolean).join(' · '),
    otherSide: null,
    ...state,
  };
}

export const isOver = (meeting: Meeting): boolean =>
  meeting.phase === 'closed' || meeting.phase === 'passed';

/** Visits and lessons in one line of time. */
export function meetings(day: Day, now: Date): Meeting[] {
  return [
    ...day.visits.map((visit) => ofVisit(visit, now)),
    ...day.lessons.map((lesson) => ofLesson(lesson, now)),
  ].sort((a, b) => a.starts.getTime() - b.starts.getTime() || a.id.localeCompare(b.id));
}

/** The day around its main meeting: the one going on, else the nearest that is not over. */
export interface Agenda {
  main: Meeting | null;
  later: Meeting[];
  earlier: Meeting[];
}

export function agenda(all: readonly Meeting[]): Agenda {
  const open = all.filter((meeting) => !isOver(meeting));
  const main = open.find((meeting) => meeting.phase === 'now') ?? open[0] ?? null;
  return {
    main,
    later: open.filter((meeting) => meeting !== main),
    earlier: all.filter(isOver),
  };
}
