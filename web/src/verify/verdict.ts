import type { components } from '../api/schema';
import type { Judged } from './check';

/** What the register said, or what the signature alone says while the server is away. */
export type Verdict =
  | ({ by: 'register' } & components['schemas']['Checked'])
  | ({ by: 'signature' } & Exclude<Judged, { is: 'unknown' }>);
