package gantry

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestReadmeCountsTheKinds: the README's number is that of the kinds in docs/kubernetes.md,
// which is generated; a kind in two groups or versions is one.
func TestReadmeCountsTheKinds(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "docs/kubernetes.md"), "\n| group | kinds |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	kinds := map[string]bool{}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 2 {
			t.Fatalf("docs/kubernetes.md: a row of %d cells: %s", len(cells), row)
		}
		for kind := range strings.SplitSeq(cells[1], ", ") {
			kinds[kind] = true
		}
	}
	if !kinds["Pod"] || len(kinds) < 50 {
		t.Fatalf("docs/kubernetes.md lists only %d kinds", len(kinds))
	}
	if want := fmt.Sprintf("| API: %d kinds", len(kinds)); !strings.Contains(read(t, "README.md"), want) {
		t.Errorf("README.md does not say %q, which is what docs/kubernetes.md lists", want)
	}
}

// TestTheIndexLinksEveryGuide: the registry shows no other list of them.
func TestTheIndexLinksEveryGuide(t *testing.T) {
	index := read(t, "docs/index.md")
	for _, g := range glob(t, "docs/guides/*.md") {
		title := regexp.MustCompile(`(?m)^page_title: "(.*)"$`).FindStringSubmatch(read(t, g))
		if title == nil {
			t.Errorf("%s has no page_title", g)
			continue
		}
		if want := fmt.Sprintf("- [%s](guides/%s)", title[1], filepath.Base(g)); !strings.Contains(index, want) {
			t.Errorf("docs/index.md lacks %s", want)
		}
	}
}

// TestRequirementsAreThoseOfPreflight: the guide names each port that a server needs, and
// each least amount, as the preflight checks judge them.
func TestRequirementsAreThoseOfPreflight(t *testing.T) {
	guide := read(t, "docs/guides/requirements.md")
	ports := []int{config.VXLANPort, config.BundlePort}
	for _, p := range preflight.Ports(true) {
		ports = append(ports, p.Number)
	}
	for _, p := range ports {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^\|[^|]*\b%d\b`, p)).MatchString(guide) {
			t.Errorf("no table of requirements.md has port %d", p)
		}
	}
	if want := fmt.Sprintf("%d seconds", int(preflight.MaxSkew.Seconds())); !strings.Contains(guide, want) {
		t.Errorf("requirements.md does not say that clocks may differ by %s", want)
	}
	// A server that has nothing and is something fails by every least amount.
	least := regexp.MustCompile(`the (least|oldest) that works is ([0-9.]+)`)
	for _, master := range []bool{true, false} {
		s := preflight.Subject{Node: spec.Node{Host: spec.Host{Name: "a", Address: "192.0.2.1"}, Master: master}}
		s.Facts.SystemdVersion = 1
		found := least.FindAllStringSubmatch(preflight.Check([]preflight.Subject{s}, preflight.Surroundings{})["a"].Error(), -1)
		if len(found) != 5 {
			t.Errorf("the preflight checks name %d least amounts: %q", len(found), found)
		}
		for _, f := range found {
			if !regexp.MustCompile(`\b` + regexp.QuoteMeta(f[2]) + `\b`).MatchString(guide) {
				t.Errorf("requirements.md does not name %s, as %q (master: %v)", f[2], f[0], master)
			}
		}
	}
}

// TestABundleIsOfItsOwnMachine: where the programs would not be those that the bundle says,
// make bundle stops, before anything else, and says why.
func TestABundleIsOfItsOwnMachine(t *testing.T) {
	check := func(args ...string) (string, error) {
		out, err := exec.Command("make", append([]string{"--no-print-directory", "-s", "amd64"}, args...)...).CombinedOutput()
		return string(out), err
	}
	const good = "MACHINE=Linux x86_64, GOOS=linux, GOARCH=amd64"
	if out, err := check(good); err != nil {
		t.Errorf("%s is refused: %v\n%s", good, err, out)
	}
	for _, machine := range []string{
		"Linux aarch64, GOOS=linux, GOARCH=arm64",
		"Linux x86_64, GOOS=linux, GOARCH=arm64",
		"Darwin x86_64, GOOS=darwin, GOARCH=amd64",
		"Linux x86_64, GOOS=, GOARCH=", // no Go
	} {
		if out, err := check("MACHINE=" + machine); err == nil || !strings.Contains(out, "this machine is: "+machine) {
			t.Errorf("%s: %v\n%s", machine, err, out)
		}
	}
	out, err := exec.Command("make", "--no-print-directory", "-n", "bundle", good).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if first, _, _ := strings.Cut(string(out), "\n"); !strings.Contains(first, "GOARCH=amd64") {
		t.Errorf("make bundle begins with\n%s", first)
	}
}

// TestLinksLeadSomewhere: a link to a file of the tree names one that is there, and a
// heading that it has.
func TestLinksLeadSomewhere(t *testing.T) {
	documents := []string{"README.md"}
	err := filepath.WalkDir("docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			documents = append(documents, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	seen := 0
	for _, d := range documents {
		for _, m := range link.FindAllStringSubmatch(read(t, d), -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			seen++
			to := d
			if target != "" {
				to = filepath.Join(filepath.Dir(d), target)
			}
			if _, err := filepath.EvalSymlinks(to); err != nil {
				t.Errorf("%s: a link to %s: %v", d, m[1], err)
			} else if heading != "" && !slices.Contains(anchors(read(t, to)), heading) {
				t.Errorf("%s: a link to %s, which has no such heading", d, m[1])
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d links were found", seen)
	}
}

// anchors are the names by which headings of a document are linked, and those it sets.
func anchors(document string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(document, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(name, " ", "-"))
	}
	for _, m := range regexp.MustCompile(`<a id="([^"]+)">`).FindAllStringSubmatch(document, -1) {
		out = append(out, m[1])
	}
	return out
}
