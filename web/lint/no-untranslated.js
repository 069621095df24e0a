/**
 * Words a person reads come from the catalogues. A template holding a letter of its own, as text
 * or in an attribute that is read aloud or shown, is a sentence two of three languages would miss.
 */
const LETTER = /\p{L}/u;
const SHOWN = new Set([
  'alt',
  'aria-description',
  'aria-label',
  'aria-roledescription',
  'placeholder',
  'title',
  'label',
  'hint',
  'text',
]);

/** @type {import('eslint').Rule.RuleModule} */
export default {
  meta: {
    type: 'problem',
    schema: [],
    messages: { untranslated: 'Untranslated text “{{text}}”: put it into the catalogues.' },
  },
  create(context) {
    const report = (node, text) => {
      if (LETTER.test(text)) {
        context.report({ node, messageId: 'untranslated', data: { text: text.trim() } });
      }
    };
    return {
      SvelteText(node) {
        // The text of <style> and <script> is no text to a reader.
        if (node.parent?.type === 'SvelteStyleElement') return;
        report(node, node.value);
      },
      SvelteMustacheTag(node) {
        if (node.parent?.type === 'SvelteAttribute' && !SHOWN.has(node.parent.key.name)) return;
        if (node.expression?.type === 'Literal' && typeof node.expression.value === 'string') {
          report(node, node.expression.value);
        }
        if (node.expression?.type === 'TemplateLiteral') {
          for (const quasi of node.expression.quasis) report(node, quasi.value.cooked ?? '');
        }
      },
      SvelteAttribute(node) {
        if (!SHOWN.has(node.key.name)) return;
        for (const value of node.value) {
          if (value.type === 'SvelteLiteral') report(value, value.value);
        }
      },
    };
  },
};
