package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDisturbTellsARunThatHadNothingToDo: a step that was done before is no failure of
// terraform, and a failure of terraform is no step that was done before.
func TestDisturbTellsARunThatHadNothingToDo(t *testing.T) {
	for script, passed := range map[string]bool{"exit 0": true, "echo no server; exit 1": false} {
		dir := t.TempDir()
		terraform := filepath.Join(dir, "terraform")
		if err := os.WriteFile(terraform, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		w := OpenWorkspace(Tools{Terraform: terraform}, dir, nil)
		_, err := w.DisturbApply(t.Context(), "a", "joined", "done", func(*os.Process) error {
			t.Error("it was disturbed at a step that did not come")
			return nil
		})
		if err == nil || errors.Is(err, errPassed) != passed || !passed && !strings.Contains(err.Error(), "no server") {
			t.Errorf("%s: %v", script, err)
		}
	}
}
