// @vitest-environment node
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync('src/ui/tokens.css', 'utf8');

function block(selector: string): Map<string, string> {
  const start = css.indexOf(`${selector} {`);
  const text = css.slice(start, css.indexOf('}', start));
  return new Map(
    [...text.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map(([, name, value]) => [name!, value!]),
  );
}

const themes = {
  light: block(':root'),
  dark: block(":root[data-theme='dark']"),
};

/** Relative luminance and contrast as WCAG 2.2 defines them. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(theme: Map<string, string>, one: string, other: string): number {
  const [a, b] = [luminance(theme.get(one)!), luminance(theme.get(other)!)].sort((x, y) => y - x);
  return (a! + 0.05) / (b! + 0.05);
}

const TEXT = [
  ...['ground', 'surface', 'sunken', 'leaf-soft'].map((ground) => ['ink', ground] as const),
  ...['ground', 'surface'].map((ground) => ['ink-soft', ground] as const),
  ...['ground', 'surface', 'leaf-soft'].map((ground) => ['leaf-ink', ground] as const),
  ['on-leaf', 'leaf'],
  ['on-leaf', 'leaf-strong'],
  ['on-berry', 'berry'],
  ['honey-ink', 'honey-soft'],
  ['berry-ink', 'berry-soft'],
  ['berry-ink', 'surface'],
  ['berry-ink', 'ground'],
  ['river-ink', 'river-soft'],
] as const;

const SHAPES = [
  ['line-strong', 'surface'],
  ['line-strong', 'ground'],
  ['focus', 'ground'],
  ['focus', 'surface'],
  ['focus', 'leaf-soft'],
  ['berry', 'surface'],
] as const;

describe.each(Object.entries(themes))('the %s theme', (_, theme) => {
  it.each(TEXT)('has text %s on %s at 4.5 to 1', (ink, ground) => {
    expect(contrast(theme, ink, ground)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(SHAPES)('has the shape %s on %s at 3 to 1', (shape, ground) => {
    expect(contrast(theme, shape, ground)).toBeGreaterThanOrEqual(3);
  });
});

it('is as dark by choice as by the wish of the device', () => {
  expect(themes.dark).toEqual(block(":root:not([data-theme='light'])"));
});

it('names the same colours in both themes', () => {
  expect([...themes.dark.keys()]).toEqual([...themes.light.keys()]);
});
