/** What a QR of a child says: a card's address, or the code on the child's own screen. */

const CARD = /#\/enter\/([\w-]{16,200})$/;
const CODE = /(?:^|\/)guardian_([\w-]{16,200})$/;
const BARE = /^[\w-]{16,200}$/;

/** The text of the QR a child's page shows. */
export const qrText = (origin: string, code: string): string =>
  `${origin}/#/family/guardian_${code}`;

/** The secret in a scanned or typed text; null when it is no such QR. */
export function secretIn(text: string): string | null {
  const plain = text.trim();
  return CARD.exec(plain)?.[1] ?? CODE.exec(plain)?.[1] ?? (BARE.test(plain) ? plain : null);
}
