import en from './en/security.json';
import ru from './ru/security.json';
import { addCatalogue } from './t';
import tt from './tt/security.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('security', { ru, tt, en });
