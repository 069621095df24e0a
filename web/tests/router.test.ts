// @vitest-environment node
import { describe, expect, it } from 'vitest';
import {
  dayHash,
  lessonHash,
  lessonWatchHash,
  parseHash,
  samePage,
  signInHash,
  visitHash,
} from '../src/router';

const id = '0197aaaa-0000-7000-8000-000000000001';

describe('an address', () => {
  it.each([
    ['', { page: 'day', date: null }],
    ['#/', { page: 'day', date: null }],
    ['#/day', { page: 'day', date: null }],
    ['#/day/2026-03-01', { page: 'day', date: '2026-03-01' }],
    [`#/visits/${id}`, { page: 'visit', id }],
    [`#/lessons/${id}`, { page: 'lesson', id }],
    [`#/lessons/${id}/watch`, { page: 'watch', id }],
    ['#/family', { page: 'family', id: '', section: '' }],
    [`#/children/${id}`, { page: 'children', id, section: '' }],
    ['#/enter/aB_9-x', { page: 'enter', id: 'aB_9-x', section: '' }],
    ['#/scan', { page: 'scan', id: '', section: '' }],
    [`#/admin/${id}/people`, { page: 'admin', id, section: 'people' }],
    ['#/sign-in', { page: 'sign-in', next: '#/day' }],
  ])('%s leads to its page', (hash, route) => {
    expect(parseHash(hash)).toEqual(route);
  });

  it.each([
    '#/day/2026-02-30',
    '#/visits',
    '#/visits/7',
    `#/visits/${id}/more`,
    `#/visits/${id}/watch`,
    '#/lessons/7/watch',
    `#/lessons/${id}/watch/more`,
    `#/lessons/${id}/`,
    '#/admin',
    '#/children/7',
    '#/enter',
    '#/enter/a b',
    `#/looked/${id}`,
    '#//',
  ])('%s leads nowhere', (hash) => {
    expect(parseHash(hash)).toEqual({ page: 'not-found' });
  });

  it('is read back as it was written', () => {
    expect(parseHash(visitHash(id))).toEqual({ page: 'visit', id });
    expect(parseHash(lessonHash(id))).toEqual({ page: 'lesson', id });
    expect(parseHash(lessonWatchHash(id))).toEqual({ page: 'watch', id });
    expect(parseHash(dayHash('2026-03-01'))).toEqual({ page: 'day', date: '2026-03-01' });
  });
});

describe('after sign-in', () => {
  it('a person comes back to the page they wanted', () => {
    expect(parseHash(signInHash(visitHash(id)))).toEqual({ page: 'sign-in', next: visitHash(id) });
  });

  it.each([
    'https://elsewhere.example/',
    '//elsewhere.example',
    'javascript:alert(1)',
    '#/sign-in',
  ])('nobody is led to %s', (next) => {
    const hash = `#/sign-in?next=${encodeURIComponent(next)}`;
    expect(parseHash(hash)).toEqual({ page: 'sign-in', next: '#/day' });
  });
});

describe('a change of address', () => {
  it('to another day stays on the page', () => {
    expect(samePage(parseHash('#/day'), parseHash('#/day/2026-03-01'))).toBe(true);
  });

  it('from a lesson to its recording is another page', () => {
    expect(samePage(parseHash(lessonHash(id)), parseHash(lessonWatchHash(id)))).toBe(false);
  });

  it('to another visit is another page', () => {
    const other = id.replace(/1$/, '2');
    expect(samePage(parseHash(visitHash(id)), parseHash(visitHash(other)))).toBe(false);
  });
});
