package apiserver

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/config"
)

// docs/admission.md names the plugins as the server has them, in their order, and for
// each a test that there is.
func TestAdmissionPluginsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/admission.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	list, _, _ := strings.Cut(string(doc), "## Not there")
	var documented, optional []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (.*) \\| (.*) \\|$").FindAllStringSubmatch(list, -1) {
		documented = append(documented, row[1])
		if strings.HasPrefix(row[2], "optional") {
			optional = append(optional, row[1])
		}
		for _, name := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(row[3], -1) {
			if !tests[name[1]] {
				t.Errorf("%s: there is no %s", row[1], name[1])
			}
		}
		if !strings.Contains(row[3], "Test") {
			t.Errorf("%s: no test is named", row[1])
		}
	}
	var served, off []string
	for _, p := range plugins() {
		served = append(served, p.name)
		if p.optional {
			off = append(off, p.name)
		}
	}
	if !slices.Equal(documented, served) {
		t.Errorf("documented:\n%v\nserved:\n%v", documented, served)
	}
	slices.Sort(off)
	if configurable := slices.Sorted(slices.Values(config.OptionalAdmissionPlugins())); !slices.Equal(off, configurable) || !slices.Equal(slices.Sorted(slices.Values(optional)), off) {
		t.Errorf("optional: documented %v, served %v, configurable %v", optional, off, configurable)
	}
}

// testNames are the tests of the API server's packages and of what they share.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "admission/*_test.go", "rbac/*_test.go", "../quota/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
				out[string(m[1])] = true
			}
		}
	}
	return out
}
