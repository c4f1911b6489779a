package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/e2e"
)

func TestFiguresOfSeveralRuns(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const fault = `{"fault":{"round":1,"name":"pause","begin":1000000000,"heal":2000000000,"ready":3000000000,"over":4000000000}}` + "\n"
	well := write("well.jsonl", fault+`{"run":{"seed":7,"lasted":60000000000}}`+"\n")
	ill := write("ill.jsonl", strings.Replace(fault, `"over"`, `"plan":["update"],"over"`, 1)+`{"run":{"seed":8,"lasted":30000000000}}`+"\n")
	document := write("doc.md", "before\n"+e2e.FiguresOf(figuresOf)+"old\n"+e2e.FiguresEnd+"after\n")

	var printed strings.Builder
	other := write("other.md", e2e.FiguresOf(figuresOf)+e2e.FiguresEnd)
	if err := judgeFiles(&printed, document+","+other, well, ill); !errors.Is(err, errViolated) {
		t.Errorf("a plan that is not empty: %v", err)
	}
	for _, want := range []string{"seed 7, 1m0s;", "seed 8, 30s;", "the plan is not empty: update", "| pause | 2 |"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("it does not print %q:\n%s", want, &printed)
		}
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n"+e2e.FiguresOf(figuresOf)+"2 rounds of faults; runs without a violation lasted 1m0s together.\n") || !strings.HasSuffix(got, e2e.FiguresEnd+"after\n") || strings.Contains(got, "old") {
		t.Errorf("the document is\n%s", got)
	}
	if text, err := os.ReadFile(other); err != nil || !strings.Contains(string(text), "| pause | 2 |") {
		t.Errorf("the second document is %q: %v", text, err)
	}
	if err := judgeFiles(&printed, "", well); err != nil {
		t.Errorf("a run without a violation: %v", err)
	}
	if err := judgeFiles(&printed, write("none.md", "text\n"), well); err == nil {
		t.Error("figures are written into a document without a place for them")
	}
}
