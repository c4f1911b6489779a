package ssh

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// FuzzParseFiles: files come back as they are, and output that is cut or changed
// anywhere is either refused or said to be of files that changed: never other content.
func FuzzParseFiles(f *testing.F) {
	f.Add("/etc/a", []byte("one\n"), []byte{}, uint16(0))
	f.Add("/etc/with space", []byte("\n\n"), []byte("no newline"), uint16(30))
	f.Add("/x", []byte("3 x x /y\n\n"), []byte("3 x"), uint16(7))
	f.Fuzz(func(t *testing.T, path string, a, b []byte, cut uint16) {
		if path == "" || strings.ContainsAny(path, "\n") {
			t.Skip("no path of ours")
		}
		second := path + ".b"
		described := fmt.Sprintf("%d 1.2 3 %s\n%d 1.2 3 %s", len(a), path, len(b), second)
		out := fmt.Appendf(nil, "%s\n\n%s%s%s\n", described, a, b, described)
		files, unchanged, err := parseFiles(out)
		if err != nil || !unchanged || !bytes.Equal(files[path], a) || !bytes.Equal(files[second], b) {
			t.Fatalf("%q, unchanged %v, %v", files, unchanged, err)
		}
		if n := int(cut) % len(out); n > 0 {
			files, unchanged, err := parseFiles(out[:n])
			if err == nil && unchanged && (!bytes.Equal(files[path], a) || !bytes.Equal(files[second], b)) {
				t.Errorf("output cut after %d of %d bytes is taken for %q", n, len(out), files)
			}
		}
	})
}

// FuzzParseAnything: no output makes the parsers panic.
func FuzzParseAnything(f *testing.F) {
	f.Add([]byte("5 1.2 3 /a\n\nhello5 1.2 3 /a\n"))
	f.Add([]byte("stat 81a4 5.1.2.3 /a\nkept 5.1.2.3 " + strings.Repeat("0", 2*sha256.Size) + "\n"))
	f.Add([]byte("-1 x x x\n\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		if files, unchanged, err := parseFiles(out); err == nil && unchanged {
			total := 0
			for _, data := range files {
				total += len(data)
			}
			if total > len(out) {
				t.Errorf("%d bytes of files in %d bytes of output", total, len(out))
			}
		}
		if s, err := parseStats(out); err == nil {
			for path, info := range s.infos {
				if info.SHA256 != "" && len(info.SHA256) != 2*sha256.Size {
					t.Errorf("%s has the sum %q", path, info.SHA256)
				}
			}
		}
	})
}
