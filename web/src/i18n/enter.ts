import en from './en/enter.json';
import ru from './ru/enter.json';
import { addCatalogue } from './t';
import tt from './tt/enter.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('enter', { ru, tt, en });
