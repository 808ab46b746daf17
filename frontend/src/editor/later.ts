/** What of the editor comes after the picture: nothing of it is seen before somebody does something. One file, so that it is asked for once. */
import { insist } from "@/app/insist";

export { DeployItems } from "@/deploy/DeployItems";
export { DeviceItems } from "@/devices/DeviceItems";
export { FormSwitch } from "@/models/FormSwitch";
export { CompareHost } from "@/plans/CompareHost";
export { AnswerNote } from "./AnswerNote";
export { BoundaryMarkers } from "./BoundaryMarkers";
export { ContextMenu } from "./ContextMenu";
export { DragGhost } from "./DragGhost";
export { FigureKeeper } from "./FigureKeeper";
export { GoneDevice } from "./GoneDevice";
export { HeatLegend } from "./HeatLegend";
export { MeasureItems } from "./MeasureItems";
export { PlanDoings } from "./PlanDoings";
export { PlanItems } from "./PlanItems";
export { PlanTrouble } from "./PlanTrouble";
export { SearchPanel } from "./SearchPanel";
export { TrailItems } from "./TrailItems";

// What dialogs are shown in, before the first of them is asked for.
void insist(() => import("@/app/Window"));
