// Bytes that lie in the exported file as text; see single_file.py.

let codes: Uint8Array | null = null;

/** The bytes of a text: those of windows-1252, four of them escaped as =x. */
export function unescaped(text: string): Uint8Array {
  if (!codes) {
    codes = new Uint8Array(0x2200 + 0x100);
    const decoded = new TextDecoder("windows-1252").decode(Uint8Array.from({ length: 256 }, (_, i) => i));
    for (let i = 0; i < 256; i++) codes[decoded.charCodeAt(i)] = i;
  }
  const of = codes, n = text.length, out = new Uint8Array(n);
  let at = 0;
  for (let i = 0; i < n; i++) {
    let c = of[text.charCodeAt(i)];
    if (c === 0x3d) c = of[text.charCodeAt(++i)] - 64;
    out[at++] = c;
  }
  return out.subarray(0, at);
}
