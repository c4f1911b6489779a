package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Sent is how many bytes went to each host in operations whose title begins like
// this ("create pool", say), by the logs of the runs so far.
func (w *Workspace) Sent(operation string) (map[string]int64, error) {
	out := map[string]int64{}
	files, err := filepath.Glob(filepath.Join(w.LogDir(), "*.jsonl"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			var r struct {
				Operation, Host string
				Sent            int64 `json:"sent_bytes"`
			}
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
			if name, _, named := strings.Cut(r.Host, " "); named && strings.HasPrefix(r.Operation, operation) {
				out[name] += r.Sent
			}
		}
	}
	return out, nil
}
