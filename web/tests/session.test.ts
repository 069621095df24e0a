import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { api, ask } from '../src/api/client';
import { language, setLanguage } from '../src/i18n/language.svelte';
import {
  askingAgain,
  chooseLanguage,
  giveUpSignIn,
  loadSession,
  me,
  signIn,
  signOut,
  who,
} from '../src/session.svelte';
import { network, person, problem } from './network';

const GONE = problem(401, 'not_signed_in');
const readDay = () => ask(api.GET('/api/v1/day', { params: { query: {} } }));

beforeEach(() => setLanguage('en'));
afterEach(() => {
  giveUpSignIn();
  vi.unstubAllGlobals();
});

describe('who is here', () => {
  it('is the person the server names, and the page speaks their language', async () => {
    network({ 'GET /api/v1/me': { body: person } });
    await loadSession();
    expect([me()?.name, language()]).toEqual(['Илдар Сәфәров', 'ru']);
  });

  it('is nobody when the server knows no session', async () => {
    network({ 'GET /api/v1/me': GONE });
    await loadSession();
    expect(who().state).toBe('nobody');
  });

  it('is unknown while the server is away: that is no reason to ask for a password', async () => {
    network({ 'GET /api/v1/me': { down: true } });
    await loadSession();
    expect(who()).toMatchObject({ state: 'unknown', problem: { code: 'server_away' } });
  });
});

describe('a session that ends in the middle of work', () => {
  const signedIn = async (replies: Parameters<typeof network>[0]) => {
    const sent = network({ 'GET /api/v1/me': { body: person }, ...replies });
    await loadSession();
    return sent;
  };

  it('asks to sign in again and then sends the request once more', async () => {
    const sent = await signedIn({
      'GET /api/v1/day': [GONE, { body: { date: '2026-03-01', visits: [], lessons: [] } }],
      'POST /api/v1/sign-in': { status: 201, body: person },
    });
    const answer = readDay();
    await vi.waitFor(() => expect(askingAgain()).toBe(true));
    await signIn('ildar', 'secret');
    expect((await answer).date).toBe('2026-03-01');
    expect(sent.filter(({ path }) => path === '/api/v1/day')).toHaveLength(2);
  });

  it('sends a body again whole', async () => {
    const sent = await signedIn({
      'PATCH /api/v1/me': [GONE, { body: person }],
      'POST /api/v1/sign-in': { status: 201, body: person },
    });
    const answer = ask(api.PATCH('/api/v1/me', { body: { language: 'tt' } }));
    await vi.waitFor(() => expect(askingAgain()).toBe(true));
    await signIn('ildar', 'secret');
    await answer;
    const bodies = sent.filter(({ method }) => method === 'PATCH').map(({ body }) => body);
    expect(bodies).toEqual(['{"language":"tt"}', '{"language":"tt"}']);
  });

  it('asks once for several requests', async () => {
    const sent = await signedIn({
      'GET /api/v1/day': [GONE, GONE, { body: { date: '2026-03-01', visits: [], lessons: [] } }],
      'POST /api/v1/sign-in': { status: 201, body: person },
    });
    const answers = Promise.all([readDay(), readDay()]);
    await vi.waitFor(() =>
      expect(sent.filter(({ path }) => path === '/api/v1/day')).toHaveLength(2),
    );
    await vi.waitFor(() => expect(askingAgain()).toBe(true));
    await signIn('ildar', 'secret');
    expect(await answers).toHaveLength(2);
  });

  it('refuses the request when the person does not sign in', async () => {
    await signedIn({ 'GET /api/v1/day': GONE });
    const answer = readDay();
    await vi.waitFor(() => expect(askingAgain()).toBe(true));
    giveUpSignIn();
    await expect(answer).rejects.toMatchObject({ code: 'not_signed_in' });
  });

  it('never sends for another person what the first one did', async () => {
    const other = { ...person, id: person.id.replace(/1$/, '2') };
    const sent = await signedIn({
      'GET /api/v1/day': GONE,
      'POST /api/v1/sign-in': { status: 201, body: other },
    });
    const answer = readDay();
    await vi.waitFor(() => expect(askingAgain()).toBe(true));
    await signIn('other', 'secret');
    await expect(answer).rejects.toMatchObject({ code: 'not_signed_in' });
    expect(sent.filter(({ path }) => path === '/api/v1/day')).toHaveLength(1);
    expect(me()?.id).toBe(other.id);
  });
});

describe('signing in', () => {
  it('throws what the server refused', async () => {
    network({ 'POST /api/v1/sign-in': problem(401, 'wrong_login_or_password') });
    await expect(signIn('a', 'b')).rejects.toMatchObject({ code: 'wrong_login_or_password' });
  });

  it('keeps the language just chosen, also for other devices', async () => {
    const sent = network({
      'POST /api/v1/sign-in': { status: 201, body: person },
      'PATCH /api/v1/me': { body: { ...person, language: 'tt' } },
    });
    await signIn('ildar', 'secret', 'tt');
    expect([language(), sent.at(-1)?.body]).toEqual(['tt', '{"language":"tt"}']);
  });
});

describe('changing the language', () => {
  it('holds here although the server is away', async () => {
    network({ 'GET /api/v1/me': { body: person }, 'PATCH /api/v1/me': { down: true } });
    await loadSession();
    await chooseLanguage('tt');
    expect([language(), me()?.language]).toEqual(['tt', 'tt']);
  });
});

describe('signing out', () => {
  it('leaves nobody', async () => {
    network({ 'GET /api/v1/me': { body: person }, 'POST /api/v1/sign-out': { status: 204 } });
    await loadSession();
    await signOut();
    expect(who().state).toBe('nobody');
  });

  it('is not claimed when the server did not hear it', async () => {
    network({ 'GET /api/v1/me': { body: person }, 'POST /api/v1/sign-out': { down: true } });
    await loadSession();
    await expect(signOut()).rejects.toMatchObject({ code: 'server_away' });
    expect(who().state).toBe('here');
  });
});
