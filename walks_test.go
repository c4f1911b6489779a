package gantry

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWalksLeadThroughFilesThatAreThere: docs/architecture.md names, for each of its five
// walks, at most eight files, and every file and package that it names exists.
func TestWalksLeadThroughFilesThatAreThere(t *testing.T) {
	data, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "## Five walks\n")
	walks, _, ok2 := strings.Cut(rest, "\n## ")
	if !ok || !ok2 {
		t.Fatal("docs/architecture.md has no part on the five walks")
	}
	path := regexp.MustCompile("`([a-z]+(?:/[a-z_0-9-]+)+(?:\\.go)?)`")
	count := 0
	for walk := range strings.SplitSeq(walks, "\n\n") {
		if !strings.HasPrefix(walk, "**From ") {
			continue
		}
		count++
		files := 0
		for _, m := range path.FindAllStringSubmatch(walk, -1) {
			if strings.HasSuffix(m[1], ".go") {
				files++
			}
		}
		if files < 4 || files > 8 {
			t.Errorf("a walk of %d files, want 4 to 8: %.60s…", files, walk)
		}
	}
	if count != 5 {
		t.Errorf("%d walks, want 5", count)
	}
	for _, m := range path.FindAllStringSubmatch(string(data), -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("docs/architecture.md names %s: %v", m[1], err)
		}
	}
}
