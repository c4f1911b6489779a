//go:build lab

package e2e

import (
	"os"
	"testing"
)

func TestScratchUp(t *testing.T) {
	tools, err := FindTools("..")
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFlow(t.Context(), tools, "pods", "/tmp/pods-ws", []string{"master-1"}, []string{"worker-1", "worker-2"}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.ImportImage(t.Context(), "worker-1", "worker-2"); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.Apply(t.Context(), manifest); err != nil {
		t.Fatal(err)
	}
}
