//go:build lab

package e2e

import (
	"os"
	"testing"
)

func TestScratch(t *testing.T) {
	tools, err := FindTools("..")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Reopen(tools, "pods", "/tmp/pods-ws", os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	f.Masters, f.Workers = []string{"master-1"}, []string{"worker-1", "worker-2"}
	f.Cluster = NewCluster(tools, f.Lab, "/tmp/pods-ws/kubeconfig", nil)
	if os.Getenv("IMPORT") != "" {
		if err := f.Cluster.ImportImage(t.Context(), "worker-1", "worker-2"); err != nil {
			t.Fatal(err)
		}
	}
	testPods(t, f)
}
