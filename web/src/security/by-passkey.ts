import { api, ask } from '../api/client';
import type { Language } from '../i18n/language.svelte';
import { signedIn } from '../session.svelte';
import { answerByKey, NoPasskey } from './passkey';

/** Signs in by a passkey alone; false when the person turned away. Throws the `Problem`. */
export async function signInByPasskey(chosen?: Language): Promise<boolean> {
  const question = await ask(api.POST('/api/v1/sign-in/passkey/question'));
  try {
    const answer = await answerByKey(question);
    await signedIn(await ask(api.POST('/api/v1/sign-in/passkey', { body: answer })), chosen);
    return true;
  } catch (error) {
    if (error instanceof NoPasskey) return false;
    throw error;
  }
}
