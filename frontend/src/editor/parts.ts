/** Parts of the editor that come when they are wanted. */
import { lazily } from "@/app/lazily";

export const AddDevice = lazily(() => import("@/devices/AddDevice").then(({ default: part }) => part));
export const DeviceRail = lazily(() => import("./DeviceRail").then(({ DeviceRail: part }) => part));
export const LinkDialog = lazily(() => import("./LinkDialog").then(({ LinkDialog: part }) => part));
export const LinkOpener = lazily(() => import("./LinkOpener").then(({ LinkOpener: part }) => part));
export const SelectionBar = lazily(() => import("./SelectionBar").then(({ SelectionBar: part }) => part));
export const RunDock = lazily(() => import("@/runs/RunDock").then(({ RunDock: part }) => part));

const later = () => import("./later");
export const AnswerNote = lazily(() => later().then(({ AnswerNote: part }) => part));
export const BoundaryMarkers = lazily(() => later().then(({ BoundaryMarkers: part }) => part));
export const CompareHost = lazily(() => later().then(({ CompareHost: part }) => part));
export const ContextMenu = lazily(() => later().then(({ ContextMenu: part }) => part));
export const DeployItems = lazily(() => later().then(({ DeployItems: part }) => part));
export const DeviceItems = lazily(() => later().then(({ DeviceItems: part }) => part));
export const DragGhost = lazily(() => later().then(({ DragGhost: part }) => part));
export const FigureKeeper = lazily(() => later().then(({ FigureKeeper: part }) => part));
export const FormSwitch = lazily(() => later().then(({ FormSwitch: part }) => part));
export const GoneDevice = lazily(() => later().then(({ GoneDevice: part }) => part));
export const HeatLegend = lazily(() => later().then(({ HeatLegend: part }) => part));
export const MeasureItems = lazily(() => later().then(({ MeasureItems: part }) => part));
export const PlanDoings = lazily(() => later().then(({ PlanDoings: part }) => part));
export const PlanItems = lazily(() => later().then(({ PlanItems: part }) => part));
export const PlanTrouble = lazily(() => later().then(({ PlanTrouble: part }) => part));
export const SearchPanel = lazily(() => later().then(({ SearchPanel: part }) => part));
export const TrailItems = lazily(() => later().then(({ TrailItems: part }) => part));
