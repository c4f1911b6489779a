package gantry

import (
	"os"
	"path/filepath"
	"regexp"
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
		rest := "\n" + read(t, guide)
		texts := directives.Split("\n"+read(t, template), -1)
		for i, text := range texts {
			before, after, found := strings.Cut(rest, text)
			if !found || i == 0 && before != "" {
				t.Errorf("%s lacks what %s has:\n%s", guide, template, text)
				break
			}
			rest = after
			if i == len(texts)-1 && text != "" && rest != "" {
				t.Errorf("%s goes on after the end of %s:\n%s", guide, template, rest)
			}
		}
	}
}

// directives are the lines of templates in whose place there is something else.
var directives = regexp.MustCompile(`(?m)^.*\{\{.*\n?`)

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data)) + "\n"
}
