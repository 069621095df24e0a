import { describe, expect, it } from 'vitest';
import { contentOf, valuesOf } from '../src/documents/content';
import { parseHash } from '../src/router';
import { bytesOf, lineIn, signedLine } from '../src/verify/check';

const b64 = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');

async function signed(): Promise<{ line: string; key: { id: string; public: string } }> {
  const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);
  const key = b64(new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
  const body = new TextEncoder().encode('{"c":"x","n":"2026-000001","o":"Айболит","y":"k"}');
  const said = new Uint8Array([...new TextEncoder().encode('yanasha qr 1\n'), ...body]);
  const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, said));
  return { line: `${b64(body)}.${b64(signature)}`, key: { id: 'k', public: key } };
}

describe('a QR line judged in the browser', () => {
  it('is genuine with the key that signed it, and forged with one changed sign', async () => {
    const { line, key } = await signed();
    expect((await signedLine(line, [key]))?.n).toBe('2026-000001');
    for (let at = 0; at < line.length; at += 7) {
      const other = line[at] === 'A' ? 'B' : 'A';
      const changed = line.slice(0, at) + other + line.slice(at + 1);
      expect(await signedLine(changed, [key])).toBeNull();
    }
    expect(await signedLine(line, [])).toBeNull();
    expect(await signedLine(line, [{ ...key, public: (await signed()).key.public }])).toBeNull();
  });

  it('has one spelling', () => {
    expect(bytesOf('AA')).toEqual(new Uint8Array([0]));
    expect(bytesOf('AB')).toBeNull();
    expect(bytesOf('A A')).toBeNull();
    expect(lineIn('https://x/#/verify/a.b\n')).toBe('a.b');
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
