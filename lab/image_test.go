package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeMmdebstrap fails so many times, each time with a file left in its target.
func fakeMmdebstrap(t *testing.T, failures string) {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\ncount=" + dir + "/count\necho x >>$count\nfor target; do :; done\n" +
		"mkdir $target || exit 9\n" + // as mmdebstrap, it refuses what is there
		"[ $(wc -l <$count) -gt " + failures + " ] || { echo no mirror >&2; exit 1; }\n"
	if err := os.WriteFile(filepath.Join(dir, "mmdebstrap"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestAMirrorMayFailOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	fakeMmdebstrap(t, "1")
	if err := (release{suite: "bookworm"}).unpack(t.Context(), containerRecipe, dir); err != nil {
		t.Error(err)
	}
	fakeMmdebstrap(t, "2")
	if err := (release{suite: "bookworm"}).unpack(t.Context(), containerRecipe, dir); err == nil || !strings.Contains(err.Error(), "no mirror") {
		t.Errorf("the second failure ends with: %v", err)
	}
}
