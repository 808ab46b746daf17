/** Short names for what the planner's part of the API carries. */
import type { Schemas } from "@/api/client";

export type PlanPrediction = Schemas["PlanPredictionOut"];
export type Prediction = Schemas["PredictionOut"];
export type Resource = Schemas["ResourceOut"];
export type DevicePrediction = Schemas["DevicePredictionOut"];
export type Gantt = Schemas["GanttOut"];
export type Bar = Schemas["BarOut"];
export type NextMove = Schemas["NextMoveOut"];
export type Question = Schemas["QuestionIn"];
export type ParetoQuestion = Schemas["ParetoIn"];
export type Limits = Schemas["LimitsIn"];
export type Objective = Question["objective"];
export type PlannerStrategy = Limits["strategies"][number];
export type Search = Schemas["SearchOut"];
export type Answer = Schemas["AnswerOut"];
export type Baseline = Schemas["BaselineOut"];
export type Obstacle = Schemas["ObstacleOut"];
