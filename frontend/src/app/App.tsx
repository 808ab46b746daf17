/** The shell: which page is shown, and what stands over all of them. */
import { Button, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { onSignedOut } from "@/api/client";
import { queryClient, studioQuery } from "@/api/queries";
import { connectLive } from "@/live/socket";
import { useLive } from "@/live/store";
import { ModelsPage } from "@/models/ModelsPage";
import { ErrorBoundary } from "./ErrorBoundary";
import { Header } from "./Header";
import { navigate, parseRoute, usePath } from "./router";
import { Shortcuts } from "./Shortcuts";
import { SignedOut } from "./SignedOut";
import { theme } from "./theme";

const Editor = lazy(() => import("@/editor/Editor"));
const DevicesPage = lazy(() => import("@/devices/DevicesPage"));

export function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <Notifications position="top-center" limit={3} />
      <QueryClientProvider client={queryClient}>
        <ErrorBoundary>
          <Pages />
        </ErrorBoundary>
        <Shortcuts />
      </QueryClientProvider>
    </MantineProvider>
  );
}

function Pages() {
  const [signedOut, setSignedOut] = useState(false);
  useEffect(() => onSignedOut(() => setSignedOut(true)), []);
  return signedOut ? <SignedOut /> : <Studio />;
}

function Studio() {
  const path = usePath();
  const route = parseRoute(path);
  const studio = useQuery(studioQuery);
  useEffect(connectLive, []);
  const demo = studio.data?.demo_model_id ?? null;
  const atHome = path === "/" || path === "/index.html";
  useEffect(() => {
    if (atHome && demo !== null) navigate(`/m/${encodeURIComponent(demo)}`, true);
  }, [atHome, demo]);
  if (atHome && (studio.isPending || demo !== null)) return <Header />;
  return (
    <>
      <ConnectionBanner />
      {route.page === "models" && <ModelsPage />}
      {route.page === "devices" && (
        <Suspense fallback={<Header />}>
          <DevicesPage />
        </Suspense>
      )}
      {route.page === "editor" && (
        <Suspense fallback={<Header />}>
          <Editor modelId={route.modelId} />
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
  if (!lost) return null;
  return (
    <div className="banner" role="status" data-testid="connection-lost">
      The connection to the studio is lost. Your edits are kept; connecting again…
    </div>
  );
}
