import type { components } from '../api/schema';

type Schemas = components['schemas'];

/** The browser asked for a passkey, and there came none: turned away, or too long ago. */
export class NoPasskey extends Error {
  override readonly name = 'NoPasskey';
}

/** Whether this browser, at this address, can have passkeys: they belong to a name, not a number. */
export function canPasskeys(): boolean {
  const byNumber = /^[\d.]+$|:/.test(location.hostname);
  return 'PublicKeyCredential' in window && window.isSecureContext && !byNumber;
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

const textOf = (bytes: ArrayBuffer): string =>
  btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(''));

const named = (text: string): PublicKeyCredentialDescriptor => ({
  type: 'public-key',
  id: bytesOf(text),
});

async function asked(answer: Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    const found = await answer;
    if (found instanceof PublicKeyCredential) return found;
  } catch (error) {
    throw new NoPasskey('no passkey', { cause: error });
  }
  throw new NoPasskey('no passkey');
}

/** Has the device make a key for this person. */
export async function makeKey(
  asking: Schemas['NewKey'],
  name: string,
): Promise<Schemas['MadeKey']> {
  const found = await asked(
    navigator.credentials.create({
      publicKey: {
        challenge: bytesOf(asking.challenge),
        rp: { id: asking.rp_id, name: 'Yanasha' },
        user: {
          id: bytesOf(asking.user_id),
          name: asking.user_name,
          displayName: asking.user_name,
        },
        pubKeyCredParams: asking.algorithms.map((alg) => ({ type: 'public-key', alg })),
        excludeCredentials: asking.known.map(named),
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'preferred' },
        attestation: 'none',
      },
    }),
  );
  const response = found.response as AuthenticatorAttestationResponse;
  return {
    name,
    credential_id: textOf(found.rawId),
    client_data: textOf(response.clientDataJSON),
    attestation: textOf(response.attestationObject),
  };
}

/** Has the device answer with a key it has. */
export async function answerByKey(question: Schemas['KeyQuestion']): Promise<Schemas['KeyAnswer']> {
  const found = await asked(
    navigator.credentials.get({
      publicKey: {
        challenge: bytesOf(question.challenge),
        rpId: question.rp_id,
        allowCredentials: question.keys.map(named),
        userVerification: question.alone ? 'required' : 'preferred',
      },
    }),
  );
  const response = found.response as AuthenticatorAssertionResponse;
  return {
    credential_id: textOf(found.rawId),
    client_data: textOf(response.clientDataJSON),
    authenticator_data: textOf(response.authenticatorData),
    signature: textOf(response.signature),
  };
}
