/** The page names what its first script will ask for, so that the browser has not to wait for that script. */
import type { Plugin } from "vite";

const START = "/src/start.tsx";

export function preloadStart(): Plugin {
  return {
    name: "preload-start",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle = {} }) {
        const start = Object.values(bundle).find((file) => file.type === "chunk" && file.facadeModuleId?.endsWith(START));
        const files = new Set(start ? [start.fileName] : []);
        for (const name of files) {
          const file = bundle[name];
          if (file?.type === "chunk") file.imports.forEach((other) => files.add(other));
        }
        return [...files].map((name) => ({ tag: "link", attrs: { rel: "modulepreload", crossorigin: true, href: `/${name}` }, injectTo: "head" as const })).filter(({ attrs }) => !html.includes(`"${attrs.href}"`));
      },
    },
  };
}
