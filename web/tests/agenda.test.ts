// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { Day } from '../src/api/types';
import { agenda, meetings } from '../src/pages/day/agenda';

type Visit = Day['visits'][number];
type Lesson = Day['lessons'][number];

const now = new Date('2026-03-01T12:00:00Z');
const clinic = { id: 'c', name: 'Айболит' };
const at = (minutes: number) => new Date(now.getTime() + minutes * 60_000).toISOString();

const visit = (id: string, from: number, to: number, more: Partial<Visit> = {}): Visit => ({
  id,
  starts_at: at(from),
  ends_at: at(to),
  state: 'booked',
  my_side: 'patient',
  other: { id: 'o', name: 'Амина Галиева' },
  organisation: clinic,
  ...more,
});
const lesson = (id: string, from: number, to: number): Lesson => ({
  id,
  title: 'Дроби',
  subject: 'Математика',
  class_name: '5 «Б»',
  starts_at: at(from),
  ends_at: at(to),
  my_side: 'pupil',
});
const day = (visits: Visit[], lessons: Lesson[] = []): Day => ({
  date: '2026-03-01',
  visits,
  lessons,
});
const phase = (one: Visit) => meetings(day([one]), now)[0]?.phase;

describe('a visit', () => {
  it('that is open goes on now, also before its time', () => {
    expect(phase(visit('a', 30, 60, { state: 'open' }))).toBe('now');
  });

  it('in its time is waited for by the patient and due for the doctor', () => {
    expect(phase(visit('a', -5, 30))).toBe('wait');
    expect(phase(visit('a', -5, 30, { my_side: 'doctor' }))).toBe('start');
  });

  it('that begins within an hour and a half is soon, with its minutes', () => {
    expect(meetings(day([visit('a', 35, 60)]), now)[0]).toMatchObject({
      phase: 'soon',
      minutesLeft: 35,
    });
  });

  it('further away is booked', () => {
    expect(phase(visit('a', 120, 150))).toBe('booked');
  });

  it('that nobody opened in its time has passed', () => {
    expect(phase(visit('a', -60, -30))).toBe('passed');
  });

  it('that the doctor closed is over', () => {
    expect(phase(visit('a', -60, 30, { state: 'closed' }))).toBe('closed');
  });
});

it('takes the phase of a lesson from the clock', () => {
  const all = meetings(
    day([], [lesson('a', -60, 0), lesson('b', -5, 40), lesson('c', 200, 240)]),
    now,
  );
  expect(all.map((one) => one.phase)).toEqual(['closed', 'now', 'booked']);
});

describe('the agenda', () => {
  const ids = (list: readonly { id: string }[]) => list.map((one) => one.id);

  it('puts visits and lessons into one line of time', () => {
    const all = meetings(
      day([visit('late', 90, 100), visit('early', 10, 20)], [lesson('mid', 40, 80)]),
      now,
    );
    expect(ids(all)).toEqual(['early', 'mid', 'late']);
  });

  it('has what goes on now as its main meeting', () => {
    const all = meetings(
      day([visit('due', -5, 30), visit('open', 20, 40, { state: 'open' })]),
      now,
    );
    expect(agenda(all).main?.id).toBe('open');
  });

  it('else the nearest that is not over; the rest before and after it', () => {
    const all = meetings(
      day([visit('past', -60, -30), visit('next', 10, 20), visit('later', 60, 80)]),
      now,
    );
    const plan = agenda(all);
    expect([plan.main?.id, ids(plan.later), ids(plan.earlier)]).toEqual([
      'next',
      ['later'],
      ['past'],
    ]);
  });

  it('has no main meeting when all is over', () => {
    expect(agenda(meetings(day([visit('past', -60, -30)]), now)).main).toBeNull();
  });
});
