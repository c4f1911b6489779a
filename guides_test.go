package gantry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuidesAreWhatTheirTemplatesSay finds guides that were written without their
// template: make docs would take that away again.
func TestGuidesAreWhatTheirTemplatesSay(t *testing.T) {
	templates, err := filepath.Glob("templates/guides/*.md.tmpl")
	if err != nil || len(templates) == 0 {
		t.Fatalf("%d templates, %v", len(templates), err)
	}
	for _, template := range templates {
		guide := filepath.Join("docs", "guides", strings.TrimSuffix(filepath.Base(template), ".tmpl"))
		from, to := linesOf(t, template), linesOf(t, guide)
		included := false // of a file, which is as long as it is
		for _, line := range from {
			if strings.Contains(line, "{{") {
				included = true
				continue
			}
			for included && len(to) > 0 && to[0] != line {
				to = to[1:]
			}
			if len(to) == 0 || to[0] != line {
				t.Errorf("%s lacks a line of %s:\n%s", guide, template, line)
				break
			}
			to, included = to[1:], false
		}
		if !included && len(to) > 0 && !t.Failed() {
			t.Errorf("%s goes on after the end of %s:\n%s", guide, template, to[0])
		}
	}
}

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
