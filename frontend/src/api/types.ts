/** Short names for what the API carries. */
import type { Schemas } from "./client";

export type Model = Schemas["ModelOut"];
export type ModelSummary = Schemas["ModelSummaryOut"];
export type Example = Schemas["ExampleOut"];
export type Layer = Schemas["LayerOut"];
export type Device = Schemas["DeviceOut"];
export type DeviceIn = Schemas["DeviceIn"];
export type Plan = Schemas["Plan"];
export type SavedPlan = Schemas["SavedPlanOut"];
export type PlanReport = Schemas["PlanReportOut"];
export type PlanProblem = Schemas["PlanProblemOut"];
export type DeviceCost = Schemas["DeviceCostOut"];
export type Deployment = Schemas["DeploymentOut"];
export type DeviceProgress = Schemas["DeviceProgressOut"];
export type Run = Schemas["RunOut"];
export type FrameResult = Schemas["FrameResultOut"];
export type DeviceLive = Schemas["DeviceLiveOut"];
export type LiveEnvelope = Schemas["LiveEnvelope"];
export type LiveMessage = LiveEnvelope["message"];
export type NetworkRef = Schemas["NetworkRef"];
export type Sharding = Plan["shards"][number];
export type Strategy = Sharding["strategy"];
export type ImportedPlan = Schemas["ImportedPlanOut"];
export type AutodiceFiles = Schemas["AutodiceOut"];
