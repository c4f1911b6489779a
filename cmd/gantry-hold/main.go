// Command gantry-hold is the first process of the PID namespace that the
// containers of a pod share (shareProcessNamespace). It reaps orphans and does
// nothing else. It is a program of its own because it runs once per such pod: it
// links the standard library only, and so costs a megabyte.
//
// Containers see it, and one that may trace sees what it has. So it has nothing: an
// empty root, no privileges, and a user that is nobody else's. It is started as root in
// a mount namespace of its own, with the directory that becomes its root as argument,
// and says on descriptor 3 that it is ready, or why it is not.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	report := os.NewFile(3, "report") // the kubelet reads it
	// Containers see this process and may signal it: only SIGKILL, from the host,
	// ends it. SIGCHLD tells of orphans.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals)
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[0] != confined:
		err = enterEmptyRoot(os.Args[1]) // goes on below, as confined
	case os.Args[0] == confined:
		err = giveUpPrivileges()
	default:
		err = fmt.Errorf("usage: %s DIRECTORY", os.Args[0])
	}
	if err != nil {
		fmt.Fprint(report, err)
		os.Exit(1)
	}
	fmt.Fprint(report, "ready")
	for fd := range 4 {
		syscall.Close(fd) // the last use of each
	}
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
