import { describe, expect, it } from 'vitest';
import { contentOf, valuesOf } from '../src/documents/content';
import { parseHash } from '../src/router';
import { bytesOf, codeIn, judgeFile, judgeLine, looksLikeCode } from '../src/verify/check';

const b64 = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');

const encoder = new TextEncoder();

interface Signer {
  key: { id: string; public: string };
  sign: (purpose: string, said: string) => Promise<string>;
}

async function signer(id = 'abc123'): Promise<Signer> {
  const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const sign = async (purpose: string, said: string): Promise<string> => {
    const bytes = encoder.encode(purpose + said);
    return b64(new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, bytes)));
  };
  return { key: { id, public: b64(raw) }, sign };
}

const LINE = '{"c":"x","d":"2026-03-02","n":"2026-000001","o":"Айболит","y":"abc123"}';
const BODY = '{"date":"2026-03-02","number":"2026-000001","organisation":{"name":"Айболит"}}';
const TOLD = { number: '2026-000001', organisation: 'Айболит', day: '2026-03-02' };

const lineOf = async ({ sign }: Signer): Promise<string> =>
  `${b64(encoder.encode(LINE))}.${await sign('yanasha qr 1\n', LINE)}`;
const fileOf = async ({ key, sign }: Signer): Promise<Uint8Array> =>
  encoder.encode(
    `{"body":${BODY},"key":"${key.id}","signature":"${await sign('yanasha document 1\n', BODY)}"}`,
  );

describe('what is judged in the browser alone', () => {
  it('is a code signed with a key we have, and forged with one changed sign', async () => {
    const by = await signer();
    const line = await lineOf(by);
    expect(await judgeLine(line, [by.key])).toEqual({ is: 'signed', ...TOLD });
    for (let at = 0; at < line.length; at += 7) {
      const other = line[at] === 'A' ? 'B' : 'A';
      const changed = line.slice(0, at) + other + line.slice(at + 1);
      expect(await judgeLine(changed, [by.key])).toEqual({ is: 'forged' });
    }
    expect(await judgeLine(line, [])).toEqual({ is: 'forged' });
    expect(await judgeLine(line, [(await signer()).key])).toEqual({ is: 'forged' });
  });

  it('is a signed file, and forged with one changed byte anywhere', async () => {
    const by = await signer();
    const file = await fileOf(by);
    expect(await judgeFile(file, [by.key])).toEqual({ is: 'signed', ...TOLD });
    for (let at = 0; at < file.length; at += 5) {
      const changed = file.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await judgeFile(changed, [by.key])).toEqual({ is: 'forged' });
    }
    for (const more of [' ', '\n', '{}']) {
      const longer = new Uint8Array([...file, ...encoder.encode(more)]);
      expect(await judgeFile(longer, [by.key])).toEqual({ is: 'forged' });
    }
    expect(await judgeFile(encoder.encode('{"body":{}}'), [by.key])).toEqual({ is: 'forged' });
    // A line's signature serves no file.
    const other = `{"body":${BODY},"key":"abc123","signature":"${await by.sign('yanasha qr 1\n', BODY)}"}`;
    expect(await judgeFile(encoder.encode(other), [by.key])).toEqual({ is: 'forged' });
  });

  it('is not to be trusted with a key that somebody else may have held, whatever its date', async () => {
    const by = await signer();
    const key = { ...by.key, compromised_since: '2026-04-01T00:00:00Z' };
    expect((await judgeLine(await lineOf(by), [key])).is).toBe('untrusted');
    expect((await judgeFile(await fileOf(by), [key])).is).toBe('untrusted');
  });
});

describe('a QR line', () => {
  it('has one spelling', () => {
    expect(bytesOf('AA')).toEqual(new Uint8Array([0]));
    expect(bytesOf('AB')).toBeNull();
    expect(bytesOf('A A')).toBeNull();
  });

  it('is found behind any house, and another house than this one is named', () => {
    const here = location.origin;
    expect(codeIn(`${here}/#/verify/a.b\n`)).toEqual({ line: 'a.b', elsewhere: null });
    expect(codeIn('a.b')).toEqual({ line: 'a.b', elsewhere: null });
    const evil = 'https://yanasha.example.evil:8443';
    expect(codeIn(`${evil}/x#/verify/a.b`)).toEqual({
      line: 'a.b',
      elsewhere: 'yanasha.example.evil:8443',
    });
    // The last mark counts, so that no house hides behind another.
    expect(codeIn(`${evil}/?q=${here}/#/verify/x#/verify/a.b`).elsewhere).toBe(
      'yanasha.example.evil:8443',
    );
    expect(codeIn('yanasha/#/verify/a.b').elsewhere).toBe('yanasha/');
  });

  it('is not what any other code says', () => {
    expect(looksLikeCode('https://cafe.example/menu')).toBe(false);
    expect(looksLikeCode('WIFI:S:guest;;')).toBe(false);
    expect(looksLikeCode('https://x.example/#/verify/damaged!')).toBe(true);
    expect(looksLikeCode('abc.def')).toBe(true);
  });

  it('has an address of its own', () => {
    expect(parseHash('#/verify/a-b_c.d')).toEqual({ page: 'verify', id: 'a-b_c.d', section: '' });
    expect(parseHash('#/verify')).toEqual({ page: 'verify', id: '', section: '' });
    // A damaged code is judged as well: forged, not a page that is not there.
    expect(parseHash('#/verify/a!b')).toEqual({ page: 'verify', id: 'a!b', section: '' });
    expect(parseHash('#/verify/a/b')).toEqual({ page: 'not-found' });
  });
});

describe('a form of a document', () => {
  it('says an empty day as none, and comes back as it was', () => {
    const said = contentOf('certificate', { absent_from: '2026-03-02', diagnosis: ' ОРВИ ' });
    expect(said).toMatchObject({
      absent_from: '2026-03-02',
      absent_until: null,
      diagnosis: 'ОРВИ',
    });
    expect(valuesOf(said)).toMatchObject({ absent_from: '2026-03-02', absent_until: '' });
  });
});
