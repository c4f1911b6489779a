package poddir

import (
	"slices"
	"testing"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// TestPathsStay pins what earlier versions left on servers.
func TestPathsStay(t *testing.T) {
	l := Layout{Root: "/r", Logs: "/l"}
	ref := container.PodRef{Namespace: "ns", Name: "p", UID: "u"}
	for got, want := range map[string]string{
		l.Pod("u"):                           "/r/pods/u",
		l.Volumes("u"):                       "/r/pods/u/volumes",
		l.TerminationMessage("u", "c", 3):    "/r/pods/u/termination/c-3",
		l.Allocation("u"):                    "/r/pods/u/allocation.json",
		l.PodLogs(ref):                       "/l/ns_p_u",
		l.ContainerLog(ref, "c", 3):          "/l/ns_p_u/c/3.log",
		l.SeccompProfile("a/b.json"):         "/r/seccomp/a/b.json",
		l.SeccompProfile("../../etc/passwd"): "/r/seccomp/etc/passwd",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestUIDs(t *testing.T) {
	l := Layout{Root: t.TempDir() + "/new"}
	if uids, err := l.UIDs(); err != nil || len(uids) != 0 {
		t.Errorf("before anything is made: %v, %v", uids, err)
	}
	if err := l.Make(); err != nil {
		t.Fatal(err)
	}
	if uids, err := l.UIDs(); err != nil || !slices.Equal(uids, []string{}) {
		t.Errorf("without pods: %v, %v", uids, err)
	}
	if err := (Layout{Root: l.Root + "/pods/u1"}).Make(); err != nil {
		t.Fatal(err)
	}
	if uids, err := l.UIDs(); err != nil || !slices.Equal(uids, []string{"u1"}) {
		t.Errorf("with one pod: %v, %v", uids, err)
	}
}
