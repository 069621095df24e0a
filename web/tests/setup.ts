import '@testing-library/jest-dom/vitest';
import { cleanup, configure } from '@testing-library/svelte';
import { afterEach } from 'vitest';

// These run in the time that other checks leave: a second may be a tenth of one.
configure({ asyncUtilTimeout: 10_000 });

// Tests of plain functions run without a page.
if (typeof window !== 'undefined') {
  // jsdom has no modal dialogs; the browser's own are tested in the browser journey.
  if (!('showModal' in HTMLDialogElement.prototype)) {
    Object.defineProperty(HTMLDialogElement.prototype, 'showModal', {
      value(this: HTMLDialogElement) {
        this.open = true;
      },
    });
  }
  window.scrollTo = () => {};
}

afterEach(() => {
  cleanup();
});
