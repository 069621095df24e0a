import { render, screen } from '@testing-library/svelte';
import decodeQR from 'qr/decode.js';
import { expect, it } from 'vitest';
import QrCode from '../../src/ui/QrCode.svelte';

const SCALE = 4;

/** What a camera would see of the drawn path. */
function picture(svg: Element): { width: number; height: number; data: Uint8Array } {
  const modules = Number(svg.getAttribute('viewBox')?.split(' ')[2]);
  const side = modules * SCALE;
  const data = new Uint8Array(side * side * 4).fill(255);
  for (const [, x, y] of (svg.querySelector('path')?.getAttribute('d') ?? '').matchAll(
    /M(\d+) (\d+)h1v1h-1z/g,
  )) {
    for (let dy = 0; dy < SCALE; dy += 1) {
      for (let dx = 0; dx < SCALE; dx += 1) {
        const at = ((Number(y) * SCALE + dy) * side + Number(x) * SCALE + dx) * 4;
        data.fill(0, at, at + 3);
      }
    }
  }
  return { width: side, height: side, data };
}

it('draws a code that says what it was given, with a rim around it', () => {
  const address = 'https://clinic.example.org/#/enter/k3_Fz-9aQwErTyUiOpAsDfGhJkL';
  render(QrCode, { text: address, label: 'Card' });
  const svg = screen.getByRole('img', { name: 'Card' });
  expect(decodeQR(picture(svg))).toBe(address);
  const path = svg.querySelector('path')?.getAttribute('d') ?? '';
  const columns = [...path.matchAll(/M(\d+) (\d+)/g)].flatMap(([, x, y]) => [Number(x), Number(y)]);
  expect(Math.min(...columns)).toBe(4);
});
