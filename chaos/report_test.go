package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	document := write("doc.md", "before\n"+figuresBegin+"old\n"+figuresEnd+"after\n")

	var printed strings.Builder
	if err := judgeFiles(&printed, document, well, ill); !errors.Is(err, errViolated) {
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
	if !strings.HasPrefix(got, "before\n"+figuresBegin+"2 rounds of faults; runs without a violation lasted 1m0s together.\n") || !strings.HasSuffix(got, figuresEnd+"after\n") || strings.Contains(got, "old") {
		t.Errorf("the document is\n%s", got)
	}
	if err := judgeFiles(&printed, "", well); err != nil {
		t.Errorf("a run without a violation: %v", err)
	}
	if err := judgeFiles(&printed, write("other.md", "text\n"), well); err == nil {
		t.Error("figures are written into a document without a place for them")
	}
}
