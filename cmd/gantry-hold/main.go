// Command gantry-hold is the first process of the PID namespace that the
// containers of a pod share (shareProcessNamespace). It reaps orphans and does
// nothing else. It is a program of its own because it runs once per such pod: it
// links the standard library only, and so costs a megabyte.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Containers see this process and may signal it: only SIGKILL, from the host,
	// ends it. SIGCHLD tells of orphans.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals)
	for {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 && err != syscall.EINTR {
				break
			}
		}
		<-signals
	}
}
