package stats

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// read returns a small file of the kernel or the distribution; "" when it is not there.
func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// diskOf is the file system of dir, or of its nearest parent that exists.
func diskOf(dir string) (st unix.Statfs_t, err error) {
	for ; ; dir = filepath.Dir(dir) {
		if err = unix.Statfs(dir, &st); err == nil || dir == "/" {
			return st, err
		}
	}
}

// memory of the server, in bytes; anonymous is of no file.
type memory struct{ total, available, free, anonymous int64 }

func readMemory() (memory, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return memory{}, err
	}
	defer f.Close()
	return parseMemory(f)
}

// parseMemory reads /proc/meminfo, which counts in KiB.
func parseMemory(r io.Reader) (m memory, err error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 {
			continue
		}
		into := map[string]*int64{"MemTotal:": &m.total, "MemAvailable:": &m.available, "MemFree:": &m.free, "AnonPages:": &m.anonymous}[fields[0]]
		if into == nil {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return m, fmt.Errorf("%s is no amount of memory: %w", s.Text(), err)
		}
		*into = n << 10
	}
	return m, s.Err()
}
