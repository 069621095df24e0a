import en from './en/watch.json';
import ru from './ru/watch.json';
import { addCatalogue } from './t';
import tt from './tt/watch.json';

// Imported by the watch page, which comes later than the shell: so do its sentences.
addCatalogue('watch', { ru, tt, en });
