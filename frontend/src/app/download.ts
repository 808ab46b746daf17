/** Handing the person a text as a file. */
export function download(name: string, text: string, type = "application/json"): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** With what is put before and after it, it is shorter than what any file system takes. */
const LONGEST = 80;

/** A name that every file system takes: visible, of plain letters, not too long. `fallback` where nothing of it is left. */
export function fileName(name: string, fallback: string): string {
  const plain = name.normalize("NFKD").replace(/\p{M}+/gu, "").replace(/[^\w.-]+/g, "-").slice(0, LONGEST);
  return plain.replace(/^[-.]+|[-.]+$/g, "") || fallback;
}
