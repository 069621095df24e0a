import { describe, expect, it } from 'vitest';
import { qrText, secretIn } from '../../src/family/code';

const SECRET = 'Zm9vYmFyYmF6cXV1eA-_01';

describe('what a QR of a child says', () => {
  it('is read back from the page’s own QR', () => {
    expect(secretIn(qrText('https://clinic.example', SECRET))).toBe(SECRET);
  });

  it('is the secret of a card’s address, or typed as it is', () => {
    expect(secretIn(`https://clinic.example/#/enter/${SECRET}`)).toBe(SECRET);
    expect(secretIn(`  ${SECRET}\n`)).toBe(SECRET);
  });

  it('is nothing in any other text', () => {
    for (const text of [
      '',
      'short',
      `https://clinic.example/#/scan/share_${SECRET}`,
      'два слова',
    ]) {
      expect(secretIn(text)).toBeNull();
    }
  });
});
