import en from './en/looked.json';
import ru from './ru/looked.json';
import { addCatalogue } from './t';
import tt from './tt/looked.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('looked', { ru, tt, en });
