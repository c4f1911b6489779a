package gantry

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/ledger"
)

// TestSecurityNamesTestsThatAreThere: every test that docs/security.md names exists, and
// each row of its table about a vulnerability has a verdict and what it rests on.
func TestSecurityNamesTestsThatAreThere(t *testing.T) {
	data, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	tree := ledger.NewTree(os.DirFS("."))
	name := regexp.MustCompile("`([a-z0-9_]+(?:/[a-z0-9_]+)*\\.Test[A-Za-z0-9]+)`")
	tests := 0
	for _, m := range name.FindAllStringSubmatch(string(data), -1) {
		tests++
		if err := tree.Test(m[1]); err != nil {
			t.Errorf("docs/security.md: %v", err)
		}
	}
	if tests < 30 {
		t.Errorf("docs/security.md names %d tests", tests)
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(data), "\n") {
		if !strings.HasPrefix(line, "| CVE-") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 5 {
			t.Errorf("a row of %d cells: %s", len(cells), line)
			continue
		}
		cve, verdict, why := cells[0], cells[3], cells[4]
		if seen[cve] {
			t.Errorf("%s is told twice", cve)
		}
		seen[cve] = true
		switch verdict {
		case "not affected", "fixed in what is linked":
			if !name.MatchString(why) && !strings.Contains(why, "by construction") {
				t.Errorf("%s: %s rests on no test and no construction", cve, verdict)
			}
		case "affected", "affected in part", "by design, as upstream":
			if why == "" {
				t.Errorf("%s: %s, without a word why", cve, verdict)
			}
		default:
			t.Errorf("%s: %q is no verdict", cve, verdict)
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d vulnerabilities are told of", len(seen))
	}
}
