/** Whether what a QR code holds was signed by a key of the house, judged here: no server asked. */

export interface LineBody {
  c: string;
  d: string;
  k: string;
  n: string;
  o: string;
  y: string;
}

export interface Key {
  id: string;
  public: string;
}

/** Bytes of base64url in its one spelling; null for any other. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[\w-]+$/.test(text)) return null;
  try {
    const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(raw, (one) => one.charCodeAt(0));
    const again = btoa(raw).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    return again === text ? bytes : null;
  } catch {
    return null;
  }
}

/**
 * The body of a line that one of these keys signed; null when none did, undefined when this
 * browser cannot tell (it has no Ed25519, or the page came without TLS).
 */
export async function signedLine(
  line: string,
  keys: readonly Key[],
): Promise<LineBody | null | undefined> {
  const [said = '', signed = '', ...more] = line.split('.');
  const body = bytesOf(said);
  const signature = bytesOf(signed);
  if (body === null || signature === null || more.length > 0) return null;
  let found: LineBody;
  try {
    found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as LineBody;
  } catch {
    return null;
  }
  const key = bytesOf(keys.find(({ id }) => id === found.y)?.public ?? '');
  if (key === null) return null;
  if (!('crypto' in globalThis) || !('subtle' in crypto)) return undefined;
  const prefix = new TextEncoder().encode('yanasha qr 1\n');
  const whole = new Uint8Array([...prefix, ...body]);
  try {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return (await crypto.subtle.verify('Ed25519', imported, signature, whole)) ? found : null;
  } catch {
    return undefined;
  }
}

/** What a scanned text says after `#/verify/`, or the text itself. */
export function lineIn(text: string): string {
  return text.trim().split('#/verify/').at(-1) ?? '';
}
