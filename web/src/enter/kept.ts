/**
 * The secret of a card or link between the address it came in and the button that uses it. It is
 * taken out of the address at once, so that nobody reads it there later.
 */
let kept = '';

export function keep(secret: string): void {
  kept = secret;
}

export function keptSecret(): string {
  return kept;
}

const CODE = /^[\w-]{16,200}$/;

/** The secret in what a QR says, when the QR is one of ours. */
export function secretIn(text: string): string | null {
  const found = /^https?:\/\/([^/]+)\/#\/enter\/([\w-]+)$/.exec(text.trim());
  const [, host, secret] = found ?? [];
  return host === location.host && secret !== undefined && CODE.test(secret) ? secret : null;
}
