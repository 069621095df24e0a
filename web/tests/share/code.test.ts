import encodeQR from 'qr';
import decodeQR from 'qr/decode.js';
import { describe, expect, it } from 'vitest';
import { parseHash } from '../../src/router';
import { addressOf, readScanned } from '../../src/share/code';
import { minutes } from '../../src/share/left';

const CODE = 'q3-_AbcdEFGHijklMNopQR';
const ORIGIN = 'https://yanasha.example';

/** A picture of the code as a camera gives it. */
function picture(text: string) {
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: 4 });
  const scale = 4;
  const side = rows.length * scale;
  const data = new Uint8ClampedArray(side * side * 4).fill(255);
  rows.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (!dark) return;
      for (let at = 0; at < scale * scale; at += 1) {
        const pixel = (y * scale + Math.floor(at / scale)) * side + x * scale + (at % scale);
        data.set([0, 0, 0], pixel * 4);
      }
    }),
  );
  return { width: side, height: side, data };
}

describe('a code in a QR', () => {
  it.each(['share_profile', 'assist'] as const)(
    'comes back from a picture of it: %s',
    (purpose) => {
      const address = addressOf(purpose, CODE, ORIGIN);
      expect(readScanned(decodeQR(picture(address)))).toEqual({ purpose, code: CODE });
    },
  );

  it('opens the page that scans, on any phone', () => {
    const route = parseHash(new URL(addressOf('assist', CODE, ORIGIN)).hash);
    expect(route).toMatchObject({ page: 'scan' });
    expect(readScanned('id' in route ? route.id : '')).toEqual({ purpose: 'assist', code: CODE });
  });

  it('is read when somebody types it, with spaces around', () => {
    expect(readScanned(`  share_${CODE} `)).toEqual({ purpose: 'share_profile', code: CODE });
  });

  it.each(['', CODE, `other_${CODE}`, 'https://elsewhere.example/#/enter/x', `share_${CODE}?x`])(
    'is nothing else: %s',
    (text) => {
      expect(readScanned(text)).toBeNull();
    },
  );
});

it('shows the time that is left as a clock does', () => {
  expect([300_000, 65_001, 59_000, -5].map(minutes)).toEqual(['5:00', '1:06', '0:59', '0:00']);
});
