package ssh

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A limit of a file's size ends a write in the middle, as a full disk does.
func TestAFullDiskIsGivenBackWhatWasWrittenOfFiles(t *testing.T) {
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small"), filepath.Join(dir, "large")
	if err := os.WriteFile(small, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(limit string) error {
		c := exec.Command("sh", "-c", limit+`script=$1; shift; exec sh -c "$script" write-files "$@"`, "sh", writeScript, "0600", small, "0644", large)
		var in strings.Builder
		for _, content := range []string{"new", strings.Repeat("x", 5000)} {
			in.WriteString(base64.StdEncoding.EncodeToString([]byte(content)) + "\n")
		}
		c.Stdin = strings.NewReader(in.String() + "end\n")
		return c.Run()
	}
	files := func() string {
		var out []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			data, _ := os.ReadFile(filepath.Join(dir, e.Name()))
			out = append(out, e.Name()+"="+string(data[:3]))
		}
		return strings.Join(out, " ")
	}
	if err := write("trap '' XFSZ; ulimit -f 1; "); err == nil || files() != "small=old" {
		t.Errorf("with a full disk: %v, and there is %s", err, files())
	}
	if err := write(""); err != nil || files() != "large=xxx small=new" {
		t.Errorf("with room: %v, and there is %s", err, files())
	}
}
