/** Hands a file to the person, as a link to it would: the browser asks where to keep it. */
export function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the file by the next turn; until then the address must live.
  setTimeout(() => URL.revokeObjectURL(url));
}
