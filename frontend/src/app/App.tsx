/** The shell: which page is shown, and what stands over all of them. */
import { Button, MantineProvider } from "@mantine/core";
import { QueryClientProvider, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import { onSignedOut } from "@/api/client";
import { queryClient, studioQuery } from "@/api/queries";
import { connectLive } from "@/live/socket";
import { useLive } from "@/live/store";
import { AppCommands } from "./AppCommands";
import { ErrorBoundary } from "./ErrorBoundary";
import { Header } from "./Header";
import { insist } from "./insist";
import { lazily } from "./lazily";
import { navigate, parseRoute, usePath } from "./router";
import { SkipLink } from "./SkipLink";
import { theme } from "./theme";
import { Toasts } from "./Toasts";

const SignedOut = lazily(() => import("./SignedOut").then(({ SignedOut: part }) => part));
const SignInAgain = lazily(() => import("./SignedOut").then(({ SignInAgain: part }) => part));
const Editor = lazy(() => insist(() => import("@/editor/Editor")));
const ModelsPage = lazy(() => insist(() => import("@/models/ModelsPage").then(({ ModelsPage: page }) => ({ default: page }))));
const DevicesPage = lazy(() => insist(() => import("@/devices/DevicesPage")));
const RunsPage = lazy(() => insist(() => import("@/runs/RunsPage")));

export function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <Toasts />
      <QueryClientProvider client={queryClient}>
        <ErrorBoundary>
          <Pages />
        </ErrorBoundary>
        <AppCommands />
      </QueryClientProvider>
    </MantineProvider>
  );
}

function Pages() {
  const [signedOut, setSignedOut] = useState(false);
  useEffect(() => onSignedOut(() => setSignedOut(true)), []);
  useEffect(() => (signedOut ? undefined : connectLive()), [signedOut]);
  const done = useCallback(() => {
    setSignedOut(false);
    void queryClient.invalidateQueries();
  }, []);
  // A page that was open stays open, with what was done on it.
  const wasOpen = queryClient.getQueryData(studioQuery.queryKey) !== undefined;
  if (signedOut && !wasOpen) return <SignedOut done={done} />;
  return (
    <>
      <Studio />
      {signedOut && <SignInAgain done={done} />}
    </>
  );
}

function Studio() {
  const path = usePath();
  const route = parseRoute(path);
  const studio = useQuery(studioQuery);
  const demo = studio.data?.demo_model_id ?? null;
  const atHome = path === "/" || path === "/index.html";
  useEffect(() => {
    if (atHome && demo !== null) navigate(`/m/${encodeURIComponent(demo)}`, true);
  }, [atHome, demo]);
  if (atHome && (studio.isPending || demo !== null)) return <Header />;
  return (
    <>
      <SkipLink />
      <ConnectionBanner />
      {route.page === "models" && (
        <Suspense fallback={<Header />}>
          <ModelsPage />
        </Suspense>
      )}
      {route.page === "devices" && (
        <Suspense fallback={<Header />}>
          <DevicesPage />
        </Suspense>
      )}
      {route.page === "runs" && (
        <Suspense fallback={<Header />}>
          <RunsPage route={route} />
        </Suspense>
      )}
      {route.page === "editor" && (
        <Suspense fallback={<Header />}>
          <Editor modelId={route.modelId} planId={route.planId} />
        </Suspense>
      )}
      {route.page === "unknown" && (
        <>
          <Header />
          <main className="center notice">
            <h1>There is no page {route.path}</h1>
            <Button size="xs" onClick={() => navigate("/models")}>
              All models
            </Button>
          </main>
        </>
      )}
    </>
  );
}

function ConnectionBanner() {
  const lost = useLive((state) => state.connection === "lost");
  const outdated = useLive((state) => state.outdated);
  if (!lost && outdated) {
    return (
      <div className="banner" role="status" data-testid="outdated">
        The studio was updated, and this page is of before. Your edits are kept.{" "}
        <button type="button" className="link" onClick={() => window.location.reload()}>
          Reload
        </button>
      </div>
    );
  }
  if (!lost) return null;
  return (
    <div className="banner" role="status" data-testid="connection-lost">
      The connection to the studio is lost. Your edits are kept; connecting again…
    </div>
  );
}
