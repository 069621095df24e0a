/** What stands around a trace: it comes after it, so that the room itself stays light. */

import '../../i18n/ecg';

export { default as Calipers } from './EcgCalipers.svelte';
export { default as Controls } from './EcgControls.svelte';
export { default as Lanes } from './EcgLanes.svelte';
export { default as Settings } from './EcgSettings.svelte';
export { default as StripDialog } from './StripDialog.svelte';
export { default as StripsList } from './StripsList.svelte';
