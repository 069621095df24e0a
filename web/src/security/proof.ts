import type { Factors } from '../api/types';

export type ProofWay = 'password' | 'totp' | 'passkey' | 'card';

/** How this person can prove who they are, the handiest first; nothing for who came by a link. */
export function waysToProve(factors: Factors, passkeysHere: boolean): ProofWay[] {
  const ways: ProofWay[] = [];
  if (factors.passkeys.length > 0 && passkeysHere) ways.push('passkey');
  if (factors.password) ways.push('password');
  if (factors.totp) ways.push('totp');
  if (factors.card) ways.push('card');
  return ways;
}

/** The secret of a card, whether its whole address was pasted or the secret alone. */
export function cardSecret(typed: string): string {
  return typed.trim().replace(/^.*#\/enter\//, '');
}
