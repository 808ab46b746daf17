/** The first script of all: small, so that everything else is on its way at once and not one after another. */
import "@mantine/core/styles.layer.css";
import "./styles/base.css";
import "./styles/editor.css";
import "./styles/find.css";
import "./styles/panels.css";
import "./styles/touch.css";
import { askEarly, editorRequests } from "./app/early";
import { layoutWorker } from "./graph/layoutWorker";

const requests = editorRequests(window.location.pathname);
requests.forEach(askEarly);
void import("./start");
if (requests.length > 0) {
  void import("./editor/Editor");
  layoutWorker();
}
