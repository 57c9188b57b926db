// The page as a Jupyter widget (anywidget): questions go over the notebook's own connection.

import { mount } from "./app";
import { Refused, unpack, type Answer, type Backend } from "./backend";

/** What anywidget hands over of its model. */
interface Model {
  get(name: string): any;
  on(event: string, call: (...given: any[]) => void): void;
  off(event: string, call: (...given: any[]) => void): void;
  send(content: object): void;
}

class CommBackend implements Backend {
  about = "a notebook";
  private waiting = new Map<number, [(a: Answer) => void, (e: Error) => void]>();
  private count = 0;

  constructor(private model: Model) {
    model.on("msg:custom", this.heard);
  }

  private heard = (content: any, buffers: DataView[] = []): void => {
    const [done, failed] = this.waiting.get(content?.id) ?? [];
    if (!done || !failed) return;
    this.waiting.delete(content.id);
    if (content.error) return failed(new Refused(400, content.error.charAt(0).toUpperCase() + content.error.slice(1)));
    const { buffer, byteOffset, byteLength } = buffers[0];
    done(unpack(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer)); // arrays begin at multiples of four
  };

  async runs() {
    return this.model.get("runs");
  }

  ask(run: string, question: string, values: object = {}): Promise<Answer> {
    const id = this.count++;
    return new Promise((done, failed) => {
      this.waiting.set(id, [done, failed]);
      this.model.send({ id, run, question, values });
    });
  }

  close(): void {
    this.model.off("msg:custom", this.heard);
  }
}

/** The page's style for a shadow root: what it says of the document goes for the host. */
export const scoped = (css: string): string =>
  css.replace(/:root:not\((\[[^\]]+\])\)/g, ":host(:not($1))").replace(/:root(\[[^\]]+\])/g, ":host($1)").replace(/:root/g, ":host").replace(/html,\s*body\s*\{[^}]*\}/g, "")
    .replace(/(^|\})\s*body\s*\{/g, "$1#zatlas{").replace(/@media\s*\(max-width:/g, "@container (max-width:");

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const host = document.createElement("div"), root = host.attachShadow({ mode: "open" }), style = document.createElement("style"), box = document.createElement("div");
  host.className = "zatlas-explorer";
  Object.assign(host.style, { display: "block", height: `${model.get("height")}px`, border: "1px solid rgb(128 128 128 / .35)", borderRadius: "8px", overflow: "auto", containerType: "inline-size" });
  style.textContent = scoped(model.get("style"));
  box.id = "zatlas";
  root.append(style, box);
  el.append(host);
  const backend = new CommBackend(model), ended = mount(box, backend, host);
  return () => { ended(); backend.close(); host.remove(); };
}

export default { render };
