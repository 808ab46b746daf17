/** Whether what has asked is still shown: an answer that comes after it went is nobody's. */
import { useCallback, useEffect, useRef } from "react";

export function useStays(): () => boolean {
  const stays = useRef(true);
  useEffect(() => {
    stays.current = true;
    return () => {
      stays.current = false;
    };
  }, []);
  return useCallback(() => stays.current, []);
}
