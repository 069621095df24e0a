import { api, ask, whenProofNeeded, whenSignedOut } from './api/client';
import { toProblem, type Problem } from './api/problem';
import type { Me, SecondStep } from './api/types';
import { setLanguage, type Language } from './i18n/language.svelte';
import { replace } from './place.svelte';
import { signInHash } from './router';

/** Who is here: not known yet, nobody, this person, or the server could not say. */
export type Who =
  | { state: 'asking' }
  | { state: 'nobody' }
  | { state: 'here'; me: Me }
  | { state: 'unknown'; problem: Problem };

const session = $state<{ who: Who; again: boolean; proof: boolean }>({
  who: { state: 'asking' },
  again: false,
  proof: false,
});

export function who(): Who {
  return session.who;
}

/** The person signed in, or null. */
export function me(): Me | null {
  return session.who.state === 'here' ? session.who.me : null;
}

/** Whether the sign-in dialog lies over the page. */
export function askingAgain(): boolean {
  return session.again;
}

/** Whether the dialog that asks for a proof lies over the page. */
export function askingProof(): boolean {
  return session.proof;
}

function enter(person: Me): void {
  session.who = { state: 'here', me: person };
  setLanguage(person.language);
}

/** Asks the server who this is. */
export async function loadSession(): Promise<void> {
  session.who = { state: 'asking' };
  try {
    enter(await ask(api.GET('/api/v1/me')));
  } catch (error) {
    const problem = toProblem(error);
    session.who = problem.status === 401 ? { state: 'nobody' } : { state: 'unknown', problem };
  }
}

/** Asks again who this is, with the page staying as it is: after something about them changed. */
export async function refreshMe(): Promise<void> {
  enter(await ask(api.GET('/api/v1/me')));
}

/**
 * Signs in, or gives the second step to be taken; throws the `Problem` when refused. A language
 * chosen on the sign-in page is kept.
 */
export async function signIn(
  login: string,
  password: string,
  chosen?: Language,
): Promise<SecondStep | null> {
  const found = await ask(api.POST('/api/v1/sign-in', { body: { login, password } }));
  if ('second_step' in found) return found;
  await signedIn(found, chosen);
  return null;
}

/** The server has let this person in: by a password, a second step, a card, a link. */
export async function signedIn(person: Me, chosen?: Language): Promise<void> {
  if (chosen !== undefined && chosen !== person.language) {
    person = await rememberLanguage(chosen, person);
  }
  if (session.again) {
    finishAgain(person);
  } else {
    enter(person);
  }
}

async function rememberLanguage(language: Language, person: Me): Promise<Me> {
  try {
    return await ask(api.PATCH('/api/v1/me', { body: { language } }));
  } catch {
    // Being signed in matters more than the server's memory of a language.
    return { ...person, language };
  }
}

/** Changes the language here at once, and for other devices when the server can be reached. */
export async function chooseLanguage(language: Language): Promise<void> {
  setLanguage(language);
  const person = me();
  if (person === null) return;
  const kept = await rememberLanguage(language, person);
  if (me()?.id === person.id) session.who = { state: 'here', me: kept };
}

/**
 * Signs out; throws the `Problem` when the server cannot be reached, because the cookie would
 * still be good: saying “signed out” would be untrue.
 */
export async function signOut(): Promise<void> {
  try {
    await ask(api.POST('/api/v1/sign-out'));
  } catch (error) {
    const problem = toProblem(error);
    if (problem.status !== 401) throw problem;
  }
  // The next person must not be led to where this one was.
  replace(signInHash(''));
  session.who = { state: 'nobody' };
}

interface Waiting {
  promise: Promise<boolean>;
  resolve: (done: boolean) => void;
}

let waiting: Waiting | null = null;

/**
 * Opens the sign-in dialog over the page and waits for its end: true when the same person
 * is signed in again. Requests that meet the ended session together share one dialog.
 */
export function signInAgain(): Promise<boolean> {
  if (session.who.state !== 'here') return Promise.resolve(false);
  session.again = true;
  waiting ??= pending();
  return waiting.promise;
}

function pending(): Waiting {
  let resolve!: Waiting['resolve'];
  const promise = new Promise<boolean>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The person closed the dialog without signing in. */
export function giveUpSignIn(): void {
  settle(false);
}

function finishAgain(person: Me): void {
  const same = me()?.id === person.id;
  enter(person);
  // Another person must not send what the first one typed; the shell remounts the page for them.
  settle(same);
}

function settle(signedIn: boolean): void {
  session.again = false;
  waiting?.resolve(signedIn);
  waiting = null;
}

let proving: Waiting | null = null;

/** Opens the dialog that asks for a proof and waits for its end: true when it was given. */
function askForProof(): Promise<boolean> {
  if (session.who.state !== 'here') return Promise.resolve(false);
  session.proof = true;
  proving ??= pending();
  return proving.promise;
}

/** The proof was given, or the person closed the dialog. */
export function proofEnded(given: boolean): void {
  session.proof = false;
  proving?.resolve(given);
  proving = null;
}

whenSignedOut(signInAgain);
whenProofNeeded(askForProof);
