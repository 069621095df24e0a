// @vitest-environment node
import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';

const eslint = new ESLint();

async function refused(template: string): Promise<string[]> {
  const filePath = 'src/ui/Spinner.svelte';
  const [result] = await eslint.lintText(template, { filePath });
  return (result?.messages ?? []).map(({ ruleId }) => ruleId ?? 'unreadable');
}

describe('a template', { timeout: 60_000 }, () => {
  it.each([
    ['<p>Войти</p>', 'house/no-untranslated'],
    ['<p>Sign in</p>', 'house/no-untranslated'],
    ['<p>{"Керү"}</p>', 'house/no-untranslated'],
    ['<button type="button" aria-label="Close">×</button>', 'house/no-untranslated'],
    ['<input placeholder={`login`} />', 'house/no-untranslated'],
    ['<p style="color: red">1</p>', 'house/no-style-attribute'],
    ['<p>{@html "1"}</p>', 'svelte/no-at-html-tags'],
  ])('%s is refused', async (template, rule) => {
    expect(await refused(template)).toContain(rule);
  });

  it('of signs, numbers and expressions is accepted', async () => {
    expect(await refused('<p class="lead">1 · – {1 + 1}</p>')).toEqual([]);
  });
});
