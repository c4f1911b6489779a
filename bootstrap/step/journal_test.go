package step

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A file that may not grow beyond a size ends a write in the middle, as a full disk does.
func TestALineOfTheJournalIsWrittenAsAWholeOrNotAtAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bootstrap")
	file := filepath.Join(dir, "journal.jsonl")
	line := func(c string) string { return strings.Repeat(c, 399) + "\n" }
	write := func(limit, line string) error {
		c := exec.Command("sh", "-c", limit+`exec sh -c "$1" append-journal "$2" "$3"`, "sh", appendScript, dir, file)
		c.Stdin = strings.NewReader(line)
		return c.Run()
	}
	const full = "trap '' XFSZ; ulimit -f 1; " // 512 bytes, or 1024 in other shells
	want := ""
	for _, tc := range []struct {
		limit, line string
		written     bool
	}{
		{full, line("a"), true},
		{full, line("b") + line("c"), false},
		{"", line("d"), true},
	} {
		if err := write(tc.limit, tc.line); (err == nil) != tc.written {
			t.Fatalf("writing %.1s… says %v", tc.line, err)
		}
		if tc.written {
			want += tc.line
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Fatalf("after %.1s… the journal has %d bytes, want %d: %v", tc.line, len(got), len(want), err)
		}
	}
}

// Nothing of the journal is synced: after a power cut its last line may be there in part,
// or be room for it without its content. The next line is whole.
func TestTheJournalIsWholeAgainAfterACrash(t *testing.T) {
	const first, cut, next = `{"step":"a"}` + "\n", `{"step":"b"}` + "\n", `{"step":"c"}` + "\n"
	var left []string
	for n := range cut {
		left = append(left, cut[:n], strings.Repeat("\x00", n), cut[:n]+"\x00")
	}
	for _, before := range []string{"", first} {
		for _, l := range left {
			file := filepath.Join(t.TempDir(), "journal.jsonl")
			if err := os.WriteFile(file, []byte(before+l), 0o600); err != nil {
				t.Fatal(err)
			}
			c := exec.Command("sh", "-c", appendScript, "append-journal", filepath.Dir(file), file)
			c.Stdin = strings.NewReader(next)
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("after %q: %v: %s", before+l, err, out)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != before+next {
				t.Errorf("after %q the journal is %q (%v), want %q", before+l, got, err, before+next)
			}
		}
	}
}

// Lines are longer than a pipe takes at once.
func TestTheLinesOfSeveralWritersDoNotMix(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bootstrap")
	file := filepath.Join(dir, "journal.jsonl")
	var wg sync.WaitGroup
	const writers, size = 12, 100_000
	for i := range writers {
		wg.Go(func() {
			c := exec.Command("sh", "-c", appendScript, "append-journal", dir, file)
			line := strings.Repeat(string(rune('a'+i)), size) + "\n"
			c.Stdin = strings.NewReader(line + line)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(data)) {
		count[line]++
	}
	if len(count) != writers {
		t.Errorf("%d lines that differ, of %d writers", len(count), writers)
	}
	for line, n := range count {
		if n != 2 || len(line) != size+1 || strings.Trim(line, line[:1]) != "\n" {
			t.Errorf("a line of %d bytes, %d times, begins with %.1q", len(line), n, line)
		}
	}
}
