import en from './en/charts.json';
import ru from './ru/charts.json';
import { addCatalogue } from './t';
import tt from './tt/charts.json';

// Imported by its parts, which come later than the shell: so do their sentences.
addCatalogue('charts', { ru, tt, en });
