package ssh

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// A process reads its key as a member of the file's group, and goes on reading when the
// file is replaced.
func TestAFileThatItsGroupReadsStaysTheGroups(t *testing.T) {
	dir := t.TempDir()
	group := os.Getgid()
	if os.Getuid() == 0 { // who may give a file any group
		group = 61184
	}
	for mode, want := range map[string]int{"0640": group, "0600": os.Getgid()} {
		file := filepath.Join(dir, mode)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, -1, group); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, file + " that is new"} {
			c := exec.Command("sh", "-c", writeScript, "write-files", mode, path)
			c.Stdin = strings.NewReader("bmV3\nend\n")
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := int(info.Sys().(*syscall.Stat_t).Gid); path == file && got != want || fmt.Sprintf("%04o", info.Mode()) != mode {
				t.Errorf("%s has group %d and mode %v, want group %d", path, got, info.Mode(), want)
			}
		}
	}
}
