import { afterEach, describe, expect, it } from 'vitest';
import { problemOf, problemText, serverAway, toProblem } from '../src/api/problem';
import { setLanguage } from '../src/i18n/language.svelte';

const answer = (status: number, headers: HeadersInit = {}) =>
  new Response(null, { status, headers });

afterEach(() => setLanguage('ru'));

describe('a problem in words', () => {
  it('is said by its code in the language of the reader', () => {
    const wrong = problemOf(answer(401), { code: 'wrong_login_or_password', error_id: 'e-17' });
    setLanguage('tt');
    expect(problemText(wrong)).toMatch(/^Логин яки серсүз туры килми/);
  });

  it('carries no number when the words explain it', () => {
    const away = problemOf(answer(503), { code: 'stores_away', error_id: 'e-17' });
    expect(problemText(away)).not.toContain('e-17');
  });

  it('carries the number of the log when the server failed', () => {
    expect(problemText(problemOf(answer(500), { code: 'internal', error_id: 'e-17' }))).toContain(
      'e-17',
    );
  });

  it('of a newer server is said in general, with its number', () => {
    const text = problemText(problemOf(answer(418), { code: 'teapot', error_id: 'e-17' }));
    expect(text).toMatch(/что-то пошло не так.*e-17/);
  });
});

describe('a problem', () => {
  it('is named by its status when the answer is no problem document', () => {
    expect(
      [404, 413, 429, 502, 504, 500].map((status) => problemOf(answer(status), '').code),
    ).toEqual([
      'not_found',
      'body_too_large',
      'too_many_attempts',
      'server_away',
      'server_away',
      'internal',
    ]);
  });

  it('knows how long to wait', () => {
    expect(problemOf(answer(429, { 'Retry-After': '45' }), {}).retryAfterS).toBe(45);
  });

  it('does not guess a wait it cannot read', () => {
    expect(problemOf(answer(429, { 'Retry-After': 'soon' }), {}).retryAfterS).toBeNull();
  });

  it('keeps the whole document for codes that carry more', () => {
    const changed = problemOf(answer(409), { code: 'note_changed', note: { version: 3 } });
    expect(changed.document.note).toEqual({ version: 3 });
  });

  it('passes by itself when a store or the server is away, not when something is forbidden', () => {
    expect([
      problemOf(answer(503), {}).passing,
      serverAway().passing,
      problemOf(answer(403), {}).passing,
    ]).toEqual([true, true, false]);
  });

  it('of an unknown kind is silence of the server', () => {
    expect(toProblem(new TypeError('x')).code).toBe('server_away');
  });
});
