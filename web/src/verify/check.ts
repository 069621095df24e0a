/**
 * Whether what somebody holds was signed by a key of the house, judged here: no server asked. Only
 * the register tells whether it still holds.
 */

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
  compromised_since?: string | null;
}

/**
 * `untrusted`: signed with a key that somebody else may have held; a thief writes any date.
 * `unknown`: this browser cannot tell (it has no Ed25519, or the page came without TLS).
 */
export type Judged =
  | { is: 'signed' | 'untrusted'; number: string; organisation: string; day: string }
  | { is: 'forged' }
  | { is: 'unknown' };

const FORGED: Judged = { is: 'forged' };
const UNKNOWN: Judged = { is: 'unknown' };

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

/** What the API takes as a file. */
export function fileToBase64(bytes: Uint8Array): string {
  let text = '';
  for (const one of bytes) text += String.fromCharCode(one);
  return btoa(text);
}

const read = (bytes: Uint8Array): Record<string, unknown> | null => {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
};

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

interface Told {
  number: string;
  organisation: string;
  day: string;
}

async function judge(
  purpose: string,
  said: Uint8Array,
  signature: Uint8Array<ArrayBuffer> | null,
  key: Key | undefined,
  told: Told,
): Promise<Judged> {
  const raw = bytesOf(key?.public ?? '');
  if (key === undefined || raw === null || signature === null) return FORGED;
  if (!('crypto' in globalThis) || !('subtle' in crypto)) return UNKNOWN;
  const whole = new Uint8Array([...new TextEncoder().encode(purpose), ...said]);
  try {
    const imported = await crypto.subtle.importKey('raw', raw, 'Ed25519', false, ['verify']);
    if (!(await crypto.subtle.verify('Ed25519', imported, signature, whole))) return FORGED;
  } catch {
    return UNKNOWN;
  }
  return { is: key.compromised_since ? 'untrusted' : 'signed', ...told };
}

const named = (keys: readonly Key[], id: unknown): Key | undefined =>
  keys.find((key) => key.id === id);

/** What a QR code holds, judged by these keys. */
export async function judgeLine(line: string, keys: readonly Key[]): Promise<Judged> {
  const [said = '', signed = '', ...more] = line.split('.');
  const bytes = bytesOf(said);
  const body = bytes === null ? null : read(bytes);
  if (bytes === null || body === null || more.length > 0) return FORGED;
  const { n, o, d, y } = body as Partial<Record<keyof LineBody, unknown>>;
  const told = { number: text(n), organisation: text(o), day: text(d) };
  return judge('yanasha qr 1\n', bytes, bytesOf(signed), named(keys, y), told);
}

/** The signed JSON begins and ends so; what lies between is what was signed, byte for byte. */
const HEAD = '{"body":';
const TAIL = /,"key":"([0-9a-f]+)","signature":"([\w-]+)"\}$/;
/** Longer than any tail: a key's name, a signature and the words around them. */
const TAIL_BYTES = 200;

/** A signed JSON, judged by these keys. A print needs the server: its signature is another one. */
export async function judgeFile(file: Uint8Array, keys: readonly Key[]): Promise<Judged> {
  const latin = new TextDecoder('latin1');
  const from = Math.max(0, file.length - TAIL_BYTES);
  const tail = TAIL.exec(latin.decode(file.subarray(from)));
  if (latin.decode(file.subarray(0, HEAD.length)) !== HEAD || tail === null) return FORGED;
  const bytes = file.subarray(HEAD.length, from + tail.index);
  const body = read(bytes);
  if (body === null) return FORGED;
  const place = body.organisation as { name?: unknown } | undefined;
  const told = { number: text(body.number), organisation: text(place?.name), day: text(body.date) };
  const signature = bytesOf(tail[2] ?? '');
  return judge('yanasha document 1\n', bytes, signature, named(keys, tail[1]), told);
}

/** What a code says: the signed line, and whose house stood in front of it if not this one. */
export interface Code {
  line: string;
  /** Nobody signed it, so it is shown and never asked. */
  elsewhere: string | null;
}

const MARK = '#/verify/';

export function codeIn(said: string): Code {
  const whole = said.trim();
  const at = whole.lastIndexOf(MARK);
  if (at < 0) return { line: whole, elsewhere: null };
  const front = whole.slice(0, at);
  const line = whole.slice(at + MARK.length);
  try {
    const { origin, host } = new URL(front);
    if (origin === location.origin) return { line, elsewhere: null };
    return { line, elsewhere: host || front.slice(0, 100) };
  } catch {
    return { line, elsewhere: front.slice(0, 100) || null };
  }
}

/** Whether a text could be a document's code at all: a menu of a café is not forged. */
export const looksLikeCode = (said: string): boolean =>
  /^[\w-]+\.[\w-]+$/.test(codeIn(said).line) || said.includes(MARK);
