package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPublish(t *testing.T) {
	document := filepath.Join(t.TempDir(), "doc.md")
	for text, want := range map[string]string{
		"a\n" + FiguresOf("x") + "old\n" + FiguresEnd + "b\n":                             "a\n" + FiguresOf("x") + "new\n" + FiguresEnd + "b\n",
		FiguresOf("y") + "1\n" + FiguresEnd + "b\n" + FiguresOf("x") + FiguresEnd:         FiguresOf("y") + "1\n" + FiguresEnd + "b\n" + FiguresOf("x") + "new\n" + FiguresEnd,
		FiguresOf("x") + "1\n" + FiguresEnd + "b\n" + FiguresOf("y") + "2\n" + FiguresEnd: FiguresOf("x") + "new\n" + FiguresEnd + "b\n" + FiguresOf("y") + "2\n" + FiguresEnd,
		"text\n":                                   "",
		FiguresOf("x") + "old\n":                   "",
		FiguresOf("y") + "old\n" + FiguresEnd:      "",
		FiguresEnd + FiguresOf("x") + "without it": "",
	} {
		if err := os.WriteFile(document, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Publish(document, "x", "new\n")
		got, readErr := os.ReadFile(document)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if (err != nil) != (want == "") {
			t.Errorf("%q: %v", text, err)
		}
		if want == "" {
			want = text // nothing is changed
		}
		if string(got) != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if Publish(filepath.Join(t.TempDir(), "none.md"), "x", "") == nil {
		t.Error("a document that is not there is written")
	}
}
