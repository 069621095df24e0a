/** Ask again every `everyMs` while the page is seen, and at once when it is seen again. */
export function poll(verb: () => Promise<void>, everyMs: number): () => void {
  let asking = false;
  const ask = async (): Promise<void> => {
    if (asking || document.visibilityState === 'hidden') return;
    asking = true;
    try {
      await verb();
    } finally {
      asking = false;
    }
  };
  const wake = (): void => void ask();
  wake();
  const timer = setInterval(wake, everyMs);
  document.addEventListener('visibilitychange', wake);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', wake);
  };
}
