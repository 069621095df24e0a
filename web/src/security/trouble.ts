import { problemText, toProblem } from '../api/problem';
import { t } from '../i18n/t';
import { waitText } from '../pages/sign-in/wait';
import { NoPasskey } from './passkey';

/** What did not work, as a sentence; a wait says how long. */
export function troubleText(error: unknown): string {
  if (error instanceof NoPasskey) return t('security.no_passkey');
  const problem = toProblem(error);
  const text = problemText(problem);
  if (problem.code !== 'too_many_attempts' || problem.retryAfterS === null) return text;
  return `${text} ${waitText(problem.retryAfterS)}.`;
}
