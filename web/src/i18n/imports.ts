import en from './en/imports.json';
import ru from './ru/imports.json';
import { addCatalogue } from './t';
import tt from './tt/imports.json';

// Imported by its page, which comes later than the shell: so do its sentences.
addCatalogue('imports', { ru, tt, en });
