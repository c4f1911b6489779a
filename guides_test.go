package gantry

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuidesAreWhatTheirTemplatesSay finds guides, and an index, that were written without
// their template or without the example that they show: make docs would take that away again.
func TestGuidesAreWhatTheirTemplatesSay(t *testing.T) {
	templates, err := filepath.Glob("templates/guides/*.md.tmpl")
	if err != nil || len(templates) == 0 {
		t.Fatalf("%d templates, %v", len(templates), err)
	}
	for _, template := range append(templates, "templates/index.md.tmpl") {
		name, _ := filepath.Rel("templates", strings.TrimSuffix(template, ".tmpl"))
		guide, text := filepath.Join("docs", name), "\n"+read(t, template)
		rest := "\n" + read(t, guide)
		texts := directives.Split(text, -1)
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
		for _, m := range examples.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(read(t, guide), "\n"+read(t, m[1])+"```\n") {
				t.Errorf("%s does not show %s as it is", guide, m[1])
			}
		}
	}
	for _, guide := range glob(t, "docs/guides/*.md") {
		if _, err := os.Stat(filepath.Join("templates", "guides", filepath.Base(guide)+".tmpl")); err != nil {
			t.Errorf("%s has no template: %v", guide, err)
		}
	}
}

// directives are the lines of templates in whose place there is something else, and
// examples those in whose place there is a file.
var (
	directives = regexp.MustCompile(`(?m)^.*\{\{.*\n?`)
	examples   = regexp.MustCompile(`(?m)^\{\{ (?:tffile|codefile "[^"]*") "([^"]+)" \}\}$`)
)

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data)) + "\n"
}
