/** Asks the server until it answers, with growing pauses, and at once when the network is back. */

import { toProblem, type Problem } from '../api/problem';

const FIRST_PAUSE_MS = 1_500;
const LONGEST_PAUSE_MS = 10_000;

export interface Answers<T> {
  onanswer: (answer: T) => void;
  onrefused: (problem: Problem) => void;
  /** No answer this time; it is asked again. */
  onaway: () => void;
}

/** Asks after `afterMs`, and answers how to stop. */
export function untilAnswered<T>(
  ask: () => Promise<T>,
  answers: Answers<T>,
  afterMs = 0,
): () => void {
  let stopped = false;
  let pause = FIRST_PAUSE_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking = false;

  const attempt = async (): Promise<void> => {
    if (asking || stopped) return;
    asking = true;
    clearTimeout(timer);
    try {
      const answer = await ask();
      if (stopped) return;
      stop();
      answers.onanswer(answer);
    } catch (error) {
      if (stopped) return;
      const problem = toProblem(error);
      if (problem.passing || problem.status === 429 || problem.status >= 500) {
        answers.onaway();
        timer = setTimeout(() => void attempt(), pause);
        pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
      } else {
        stop();
        answers.onrefused(problem);
      }
    } finally {
      asking = false;
    }
  };

  const online = (): void => void attempt();
  const stop = (): void => {
    stopped = true;
    clearTimeout(timer);
    window.removeEventListener('online', online);
  };
  window.addEventListener('online', online);
  timer = setTimeout(() => void attempt(), afterMs);
  return stop;
}
