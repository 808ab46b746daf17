/** The bar above every page. */
import { ActionIcon, Tooltip, useMantineColorScheme, type MantineColorScheme } from "@mantine/core";
import { IconDeviceDesktop, IconKeyboard, IconMoon, IconSun } from "@tabler/icons-react";
import { useEffect, type MouseEvent, type ReactNode } from "react";
import { JobsMenu } from "@/jobs/JobsMenu";
import { Logo } from "./Logo";
import { navigate, parseRoute, usePath, type Route } from "./router";
import { openShortcuts } from "./shortcuts";

interface HeaderProps {
  title?: string;
  subtitle?: string;
  children?: ReactNode;
}

const STUDIO = "Partition Studio";
/** What stands on a browser's tab; a network's page has its name. */
const PAGES: Partial<Record<Route["page"], string>> = { models: "Models", devices: "Devices", runs: "Runs" };

export function Link({ to, current, children }: { to: string; current?: boolean; children: ReactNode }) {
  const follow = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={to} onClick={follow} aria-current={current ? "page" : undefined}>
      {children}
    </a>
  );
}

export function Header({ title, subtitle, children }: HeaderProps) {
  const route = parseRoute(usePath());
  const page = title ?? PAGES[route.page];
  useEffect(() => {
    document.title = page === undefined ? STUDIO : `${page} – ${STUDIO}`;
  }, [page]);
  return (
    <header className="header">
      <Link to="/models">
        <Logo />
        <span className="visually-hidden">Partition Studio</span>
      </Link>
      <nav aria-label="Pages">
        <Link to="/models" current={route.page === "models"}>
          Models
        </Link>
        <Link to="/devices" current={route.page === "devices"}>
          Devices
        </Link>
        <Link to="/runs" current={route.page === "runs"}>
          Runs
        </Link>
      </nav>
      {title !== undefined && (
        <div className="header-title" title={`${title}\n${subtitle ?? ""}`}>
          <h1>{title}</h1>
          {subtitle !== undefined && <p>{subtitle}</p>}
        </div>
      )}
      {children ?? <span className="header-space" />}
      <div className="header-end">
        <JobsMenu />
        <Tooltip label="Keys (?)">
          <ActionIcon variant="subtle" color="gray" aria-label="Keyboard shortcuts" onClick={openShortcuts}>
            <IconKeyboard size={17} />
          </ActionIcon>
        </Tooltip>
        <ThemeToggle />
      </div>
    </header>
  );
}

const NEXT: Record<MantineColorScheme, MantineColorScheme> = { auto: "light", light: "dark", dark: "auto" };
const WORDS: Record<MantineColorScheme, string> = { auto: "as the system", light: "light", dark: "dark" };
const ICONS = { auto: IconDeviceDesktop, light: IconSun, dark: IconMoon };

function ThemeToggle() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const Icon = ICONS[colorScheme];
  return (
    <Tooltip label={`Theme: ${WORDS[colorScheme]}`}>
      <ActionIcon variant="subtle" color="gray" aria-label={`Theme: ${WORDS[colorScheme]}. Change it.`} data-testid="theme-toggle" onClick={() => setColorScheme(NEXT[colorScheme])}>
        <Icon size={17} />
      </ActionIcon>
    </Tooltip>
  );
}
