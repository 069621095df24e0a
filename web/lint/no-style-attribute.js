/**
 * The Content-Security-Policy refuses style attributes of a template, and the page would look
 * right only on a developer's machine. `style:name={value}` goes through the CSSOM and is fine.
 */
/** @type {import('eslint').Rule.RuleModule} */
export default {
  meta: {
    type: 'problem',
    schema: [],
    messages: { style: 'Use a class or `style:name={value}`: style attributes are refused.' },
  },
  create(context) {
    return {
      SvelteAttribute(node) {
        if (node.key.name === 'style') context.report({ node, messageId: 'style' });
      },
    };
  },
};
